// Package apikey is the domain of API keys that customers present to the products they bought: issue, rotation,
// revocation, and the verification that a product's back end asks for at each of its own requests.
//
// A key's text is made, shown once and forgotten; what is kept is its SHA-256 (package credential). A key has at most two live
// secrets, so that it can be rotated without a gap; both share its limits. Verification answers from memory: the record of a key
// is cached per replica and dropped through the change feed within two seconds of a change, and its limits are
// counted by a [Limiter] in one step, all of them or none.
//
// A key is issued in two steps, so that a payment's transaction holds nothing slow: [Service.Draft] makes id and secret,
// [Service.Issue] stores them in the caller's transaction, once for each [Source].
package apikey

import (
	"context"
	"net/netip"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// The kinds of [Source].
const (
	FromOrderUnit = "order_unit"
	FromGrant     = "grant" // made by its owner under a plan; ID is "<key bought>/<the key's own>"
	FromImport    = "import"
	FromTrial     = "trial"
	FromStaff     = "staff" // ID is the key's own
)

// Source says why a key exists. A source has one key at most; for orders ID is "<order line id>/<unit n>/<grant n>".
type Source struct {
	Kind string
	ID   string
}

// Key is an API key as it stands, without its secrets. Zero times mean none.
type Key struct {
	ID        string
	Source    Source
	Owner     licensing.Owner
	ProductID string
	PlanID    string
	PlanCode  string
	Env       licensing.Env
	Name      string
	// Member is the person in an organisation whose key it is, "" for nobody's.
	Member string
	// ParentID is the key bought by whose plan the owner made this one, or another one of it under which this one went on, "" for every other.
	// What a payment does to the one bought, it does to these, and they end with it at the latest.
	ParentID string
	// CountsAs is, of a key that its owner made in the place of one that is over, the first key of that place, "" for every other.
	CountsAs string
	Metadata map[string]string
	Scopes   []string
	// AllowFrom lists the networks the key may be used from; empty means everywhere.
	AllowFrom  []netip.Prefix
	Limits     []Limit
	ExpiresAt  time.Time
	DisabledAt time.Time
	// HeldAt is since when staff have stopped the key and DisputedAt since when a dispute of its payment does, neither of which its
	// owner can undo; ParentStoppedAt is since when the key of ParentID is stopped by one of them, and this one with it.
	HeldAt, DisputedAt, ParentStoppedAt time.Time
	RevokedAt                           time.Time
	// LeakedAt is when its text was first found in public, OnLeak what becomes of it then.
	LeakedAt time.Time
	OnLeak   OnLeak
	// Rationed reports that the key has credits.
	Rationed  bool
	CreatedAt time.Time
	UpdatedAt time.Time
	// Bought is set where people are to read of the key.
	Bought Bought
}

// Bought is what a key's owner knows it by.
type Bought struct {
	Product    string // name of the product, as the catalogue has it now
	Order      string // the order that gave it; empty when none did
	Unrevealed bool   // nobody has been shown its text yet
	UsedAt     time.Time
	Credits    Credits // as they were last moved, of a key that is rationed
	OwnerName  string  // of the customer, or the e-mail address of one without a name, or of the organisation; for staff
}

// Place is the key by whose id credits and limits of this one alone are counted: the first that was made in its place.
func (k *Key) Place() string {
	if k.CountsAs != "" {
		return k.CountsAs
	}
	return k.ID
}

// State is what a key looks like from outside.
type State string

// The states of a key. Expired is computed, never stored.
const (
	Active   State = "active"
	Disabled State = "disabled"
	Revoked  State = "revoked"
	Expired  State = "expired"
)

// State is the key's state at the instant now. What cannot be undone comes first.
func (k *Key) State(now time.Time) State {
	switch {
	case !k.RevokedAt.IsZero():
		return Revoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return Expired
	case !k.DisabledAt.IsZero(), !k.StoppedAt().IsZero():
		return Disabled
	}
	return Active
}

// EndWith puts the end of a key that was made by a plan to that of the key bought that it is under, where that comes first. It is never stored: under
// another one the key lasts for longer.
func (k *Key) EndWith(end time.Time) {
	if !end.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(end)) {
		k.ExpiresAt = end
	}
}

// StoppedAt is since when the shop stops the key, for whatever reason, which its owner cannot undo; zero when it does not.
func (k *Key) StoppedAt() (since time.Time) {
	for _, at := range []time.Time{k.HeldAt, k.DisputedAt, k.ParentStoppedAt} {
		if !at.IsZero() && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	return since
}

// Stop is why a key stands still until it is let go on again. Each reason is set and lifted by itself: what one of them lets go on may
// still be stopped by another.
type Stop string

// The reasons that stop a key.
const (
	ByOwner   Stop = "owner"
	ByStaff   Stop = "staff"
	ByDispute Stop = "dispute"
)

// Secret is one secret of a key as it is stored: its digest, never its text. A zero ExpiresAt means that it is the current one.
type Secret struct {
	ID        string
	Hint      string
	Digest    credential.Digest
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Record is what verification needs: a key and the one of its secrets that was asked for.
type Record struct {
	Key    Key
	Secret Secret

	trail *trail
}

// Reach is which keys a caller may see or change. Empty members mean any; a customer's Reach always has an Owner.
type Reach struct {
	Owner   licensing.Owner
	Product string
	Env     licensing.Env
}

// Filter selects keys for a list, within a Reach.
type Filter struct {
	Reach
	// ID, Hint and Email find keys by their id, by the hint that is part of a key's text, and by the e-mail address of the customer who
	// owns them.
	ID    string
	Hint  string
	Email string
	IDs   []string // some of which it must be, if there are any
	Plan  string   // code
	Name  string
	// Member is whose key it is in an organisation.
	Member string
	State  State
	At     time.Time // when it is in that state
	After  string    // the id after which the page starts, newest first; "" is the first page
	Limit  int
}

// Rotation is one change of secrets. The others live on until Until at most, the new one takes over.
type Rotation struct {
	KeyID string
	Reach Reach
	Fresh Secret
	Now   time.Time
	Until time.Time
}

// Store keeps keys. Statements that take a Reach put it in their WHERE clause; what is out of reach does not exist.
type Store interface {
	// AddKey stores a key with its first secret, and reports false, storing nothing, when its source already has a key.
	AddKey(ctx context.Context, k Key, s Secret) (bool, error)
	// Key returns a key, or [licensing.ErrNotFound].
	Key(ctx context.Context, id string, r Reach) (Key, error)
	// Live returns the secrets of a key that are good at an instant, the newest first, without their digests.
	Live(ctx context.Context, id string, now time.Time) ([]Secret, error)
	// ListKeys returns keys, newest first.
	ListKeys(ctx context.Context, f Filter) ([]Key, error)
	// KeyByDigest returns the key and secret that the head of a digest leads to, whatever their state, or
	// [licensing.ErrNotFound]. The caller compares the whole digest.
	KeyByDigest(ctx context.Context, head []byte) (Record, error)
	// RevokeKey and SetKeyStopped report whether there was anything to change. A revoked key stays revoked.
	RevokeKey(ctx context.Context, id string, r Reach, at time.Time) (bool, error)
	// SetKeyStopped sets or lifts one reason that stops a key. The keys that are under it stop and go on with it. Only a dispute is noted
	// of a revoked key too, for their sake.
	SetKeyStopped(ctx context.Context, id string, r Reach, by Stop, on bool, at time.Time) (bool, error)
	// RotateKey ends the secrets at r.Until, unless they end before, and adds r.Fresh. It returns [licensing.ErrNotFound], or [ErrTwoSecrets]
	// when two secrets are still alive after r.Now.
	RotateKey(ctx context.Context, r Rotation) error
}

// Changer is the part of a store that changes what hangs on a key.
type Changer interface {
	// HoldKey returns a key with its row locked until the transaction ends, or [licensing.ErrNotFound].
	HoldKey(ctx context.Context, id string, r Reach) (Key, error)
	// Children returns the ids of the keys that were made by the plan of a key and are not revoked.
	Children(ctx context.Context, id string) ([]string, error)
	// EndSecret lets a secret of a key end at until, and reports false when it ends before that.
	EndSecret(ctx context.Context, keyID, secretID string, until time.Time) (bool, error)
	// SetLimits replaces the limits of a key.
	SetLimits(ctx context.Context, id string, limits []Limit, at time.Time) error
	// MarkLeaked notes that a key was found in public.
	MarkLeaked(ctx context.Context, id string, at time.Time) error
	// FindKeys returns the ids of the keys that a filter finds, at most f.Limit, in order; CountKeys counts them all.
	FindKeys(ctx context.Context, f Filter) ([]string, error)
	CountKeys(ctx context.Context, f Filter) (int64, error)
}

// The failures of this package that callers may act on.
var (
	ErrTwoSecrets = licensing.Fail(licensing.Conflict, "two-live-secrets", "The key has two live secrets already. Wait until the older one ends, or rotate without an overlap, which ends both at once.")
	ErrNotLive    = licensing.Fail(licensing.Conflict, "key-not-live", "The key is revoked or expired and cannot be changed.")
	ErrHeld       = licensing.Fail(licensing.Conflict, "key-held", "The shop has stopped this key. Ask for help to have it released.")
	ErrNotHeld    = licensing.Fail(licensing.Conflict, "key-not-held", "Nothing of yours stops this key: its owner has disabled it, its payment is disputed, or the key that was bought is stopped.")
	ErrCredential = licensing.Fail(licensing.Unauthorized, "unauthorized", "The API key is not valid.")
	ErrAddress    = licensing.Fail(licensing.Forbidden, "forbidden-ip", "The API key may not be used from this address.")
	ErrSpec       = licensing.Fail(licensing.Invalid, "key-spec", "The API key cannot be issued as described.")
)
