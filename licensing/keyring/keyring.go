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

// Key is a key pair as stored. Sealed is the private seed under the master key, nil for a root that was moved offline.
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
}

// Keyset is a signed keyset document. Its number only grows.
type Keyset struct {
	Num  int64
	KID  string // the root that signed it
	Text string
	At   time.Time
}

// Rotation is one step of planned rotation: Retire was active, Activate stood by. Added is the new standby key and Keyset the
// new keyset; both are nil while the root is offline.
type Rotation struct {
	Retire   string
	Activate string
	Added    *Key
	Keyset   *Keyset
	At       time.Time
}

// Store keeps keys and keysets. Found and Rotate run in the caller's transaction.
type Store interface {
	// Issuer returns the installation's iss, "" before the first start.
	Issuer(ctx context.Context) (string, error)
	// Keys returns every key, by role and position.
	Keys(ctx context.Context) ([]Key, error)
	// LatestKeyset returns the keyset with the highest number.
	LatestKeyset(ctx context.Context) (Keyset, error)
	// Found stores the issuer, the first keys and the first keyset, or reports false when somebody else did before.
	Found(ctx context.Context, iss string, keys []Key, set Keyset, at time.Time) (bool, error)
	// Rotate applies r, or reports false when the keys or the keyset's number are no longer what r was made from.
	Rotate(ctx context.Context, r Rotation) (bool, error)
}

// ErrRotated refuses a rotation that met another one.
var ErrRotated = licensing.Fail(licensing.Conflict, "keys-changed", "The keys were rotated meanwhile; look again.")

// ErrNoStandby refuses a rotation while no key stands by.
var ErrNoStandby = licensing.Fail(licensing.Conflict, "no-standby-key",
	"No key stands by. Bring the root back to sign a new keyset.")

// ErrTooNew refuses a rotation to a key that products cannot be expected to have fetched yet.
var ErrTooNew = licensing.Fail(licensing.Conflict, "standby-key-too-new",
	"The next key has not been published long enough for products to know it.")

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
