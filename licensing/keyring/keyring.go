// Package keyring holds the installation's Ed25519 keys: the roots that products pin, which sign keysets and nothing else, and the
// signing keys, one active, two standing by, the older ones retired, which sign every other document.
//
// The first start makes a root and three signing keys and signs keyset number 1; of two processes that do so at once, one wins.
// Private keys lie in the database sealed under the master key. Planned rotation ([Service.Rotate]) activates the next standby
// key, whose entry products already hold, so nothing a product trusts has to change; retired keys go on verifying what they
// signed. Everything that moves a key happens in one transaction, so that a crash leaves exactly one active key.
//
// Documents are signed and verified by sdk/doc. This package alone uses jwx, to serve the JWKS and to read one; never to
// verify.
package keyring

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Role is what a key may sign.
type Role string

// The roles.
const (
	Root    Role = "root"    // keysets
	Signing Role = "signing" // everything else
)

// State is where a key stands in its life. The words are those of a keyset's entries.
type State string

// The states. An active key signs, a standby key will, a retired key did; all three verify. A revoked one does nothing.
const (
	Active  State = doc.KeyActive
	Standby State = doc.KeyStandby
	Retired State = doc.KeyRetired
	Revoked State = doc.KeyRevoked
)

// Key is a key pair as stored. Sealed is the private seed under the master key, nil for a root that was moved offline and for keys
// that will not sign again.
type Key struct {
	KID         string
	Role        Role
	State       State
	Public      ed25519.PublicKey
	Sealed      []byte
	NotBefore   time.Time
	Position    int64 // order of activation within the role
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	RevokedAt   time.Time
	DroppedAt   time.Time // keysets name it no more since then
}

// Keyset is a signed keyset document. Its number only grows. Roots reports that it replaces the roots that products pin.
type Keyset struct {
	Num   int64
	KID   string // the root that signed it
	Text  string
	Roots bool
	At    time.Time
}

// Change is what one step does to the keys. The store applies all of it or, when the keys are no longer what it was made from,
// nothing. Empty members change nothing.
type Change struct {
	Retire       string // the signing key that was active; its private part is deleted
	Revoke       string // a signing key that verifies nothing from now on; its private part is deleted
	Activate     string // the signing key that stood by
	ActiveFrom   time.Time
	RootRetire   string   // the root that signed keysets; its private part is deleted
	RootActivate string   // the root that stood by
	Drop         []string // retired or revoked keys that keysets name no more
	Added        []Key
	Keyset       *Keyset // signed by a root; nil while the root is offline and none is needed
	At           time.Time
}

// Store keeps keys and keysets. Found and Apply run in the caller's transaction.
type Store interface {
	// Issuer returns the installation's iss, "" before the first start.
	Issuer(ctx context.Context) (string, error)
	// Keys returns every key, by role and position.
	Keys(ctx context.Context) ([]Key, error)
	// LatestKeyset returns the keyset with the highest number.
	LatestKeyset(ctx context.Context) (Keyset, error)
	// RootKeysets returns the keysets that replaced the roots, oldest first.
	RootKeysets(ctx context.Context) ([]Keyset, error)
	// Found stores the issuer, the first keys and the first keyset, or reports false when somebody else did before.
	Found(ctx context.Context, iss string, keys []Key, set Keyset, at time.Time) (bool, error)
	// Apply makes a change, or reports false when the keys or the keyset's number are no longer what it was made from.
	Apply(ctx context.Context, c Change) (bool, error)
}

// ErrRotated refuses a rotation that met another one.
var ErrRotated = licensing.Fail(licensing.Conflict, "keys-changed", "The keys were rotated meanwhile; look again.")

// ErrNoStandby refuses a rotation while no key stands by.
var ErrNoStandby = licensing.Fail(licensing.Conflict, "no-standby-key",
	"No key stands by. Let the root sign a new keyset: make a request with keyring root request.")

// ErrTooNew refuses a rotation to a key that products cannot be expected to have fetched yet.
var ErrTooNew = licensing.Fail(licensing.Conflict, "standby-key-too-new",
	"The next key has not been published long enough for products to know it.")

// ErrRootOffline refuses what the root has to sign while it is not here.
var ErrRootOffline = licensing.Fail(licensing.Conflict, "root-offline",
	"The root is offline. Make a request (keyring root request), sign it where the root is, and import the keyset.")

// ErrRevoked refuses to revoke a key twice.
var ErrRevoked = licensing.Fail(licensing.Conflict, "key-revoked", "The key is revoked already.")

// ErrKnownRoot refuses to add a key twice.
var ErrKnownRoot = licensing.Fail(licensing.Conflict, "root-known", "This key is in the keyring already.")

// ErrRoots refuses a fourth root.
var ErrRoots = licensing.Fail(licensing.Conflict, "roots", "Products trust three roots at most; rotate one away first.")

// signedTypes are the documents that signing keys sign.
func signedTypes() []string {
	return []string{doc.TypeLicense, doc.TypeLease, doc.TypeStatusList, doc.TypeRelease, doc.TypeReceipt}
}

// entry is k as it stands in a keyset.
func (k *Key) entry() (doc.JWK, error) {
	types := signedTypes()
	if k.Role == Root {
		types = []string{doc.TypeKeyset}
	}
	j, err := doc.NewJWK(k.Public, k.NotBefore.Unix(), types...)
	if err != nil {
		return doc.JWK{}, err
	}
	j.State = string(k.State)
	if !k.RevokedAt.IsZero() {
		j.RevokedAt = k.RevokedAt.Unix()
	}
	return j, nil
}
