package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// IntentState is what is known of a call to the provider.
type IntentState string

// The states of a call.
const (
	Reserved  IntentState = "reserved"  // about to be made, or being made
	Unknown   IntentState = "unknown"   // made, outcome open: look it up
	Confirmed IntentState = "confirmed" // had its effect; Object is the provider's id
	Refused   IntentState = "refused"   // had no effect
)

// Intent is one call to the provider that must take effect at most once. Its row stands before the call is made.
type Intent struct {
	Kind   string // "session", "refund"
	Row    string // our row's id
	Epoch  int64  // grows only after a call that is known to have had no effect
	State  IntentState
	Object string
	Reason string

	CreatedAt, UpdatedAt time.Time
}

// Key is the idempotency key of the call: "mintreu:<kind>:<row>:<epoch>".
func (i Intent) Key() string { return fmt.Sprintf("mintreu:%s:%s:%d", i.Kind, i.Row, i.Epoch) }

// IntentStore keeps intents. Methods take part in the transaction in ctx if there is one.
type IntentStore interface {
	// AddIntent inserts a reserved intent unless kind, row and epoch are taken.
	AddIntent(ctx context.Context, i Intent) error
	// NewestIntent returns the intent of the highest epoch, or [licensing.ErrNotFound].
	NewestIntent(ctx context.Context, kind, row string) (Intent, error)
	// MarkIntent moves a reserved or unknown intent to a state; false means that it is settled already.
	MarkIntent(ctx context.Context, i Intent, to IntentState, object, reason string, at time.Time) (bool, error)
	// OpenIntents lists reserved and unknown intents of a kind last touched at or before the instant, oldest first.
	OpenIntents(ctx context.Context, kind string, before time.Time, limit int) ([]Intent, error)
}

// Intents keeps account of calls to the provider: reserve in the transaction that decides on the call, call, confirm. No lock
// is held across the call, and nothing is called twice with different keys while the first may have taken effect. Safe for
// concurrent use.
type Intents struct {
	store IntentStore
	clock licensing.Clock
}

// NewIntents returns an Intents over a store.
func NewIntents(store IntentStore, clock licensing.Clock) *Intents {
	return &Intents{store: store, clock: clock}
}

// Reserve makes the row of a call, in the caller's transaction. Called again it returns the same intent, whatever its state,
// so that the repeated call bears the same key; only after a refusal a new epoch begins.
func (s *Intents) Reserve(ctx context.Context, kind, row string) (Intent, error) {
	newest, err := s.store.NewestIntent(ctx, kind, row)
	switch {
	case errors.Is(err, licensing.ErrNotFound):
		return s.add(ctx, kind, row, 0)
	case err == nil && newest.State == Refused:
		return s.add(ctx, kind, row, newest.Epoch+1)
	}
	return newest, err
}

func (s *Intents) add(ctx context.Context, kind, row string, epoch int64) (Intent, error) {
	now := s.clock.Now()
	i := Intent{Kind: kind, Row: row, Epoch: epoch, State: Reserved, CreatedAt: now, UpdatedAt: now}
	if err := s.store.AddIntent(ctx, i); err != nil {
		return Intent{}, err
	}
	return s.store.NewestIntent(ctx, kind, row) // somebody else's, if he was faster
}

// Newest returns the intent of the highest epoch, or [licensing.ErrNotFound].
func (s *Intents) Newest(ctx context.Context, kind, row string) (Intent, error) {
	return s.store.NewestIntent(ctx, kind, row)
}

// Run makes the call of an intent, outside any transaction, and records how it went: confirmed with the id of the object it
// returns, unknown after [ErrUnknown] and every error whose effect is not certain, refused after [ErrRefused] and
// [ErrConfig]. The call's own error comes back. The outcome is recorded even when the caller has gone.
func (s *Intents) Run(ctx context.Context, i Intent, call func(ctx context.Context, key string) (object string, err error)) error {
	object, err := call(ctx, i.Key())
	ctx = context.WithoutCancel(ctx)
	switch {
	case err == nil:
		return s.Confirm(ctx, i, object)
	case errors.Is(err, ErrRefused), errors.Is(err, ErrConfig):
		return errors.Join(err, s.Refuse(ctx, i, short(err)))
	}
	_, mark := s.store.MarkIntent(ctx, i, Unknown, "", short(err), s.clock.Now())
	return errors.Join(err, mark)
}

// Confirm records that the call had its effect: after the call itself or after it was looked up. Confirming twice is fine.
func (s *Intents) Confirm(ctx context.Context, i Intent, object string) error {
	_, err := s.store.MarkIntent(ctx, i, Confirmed, object, "", s.clock.Now())
	return err
}

// Refuse records that the call had no effect and never will: refused by the provider, or looked up in vain after the provider
// has forgotten the key (24 hours).
func (s *Intents) Refuse(ctx context.Context, i Intent, reason string) error {
	_, err := s.store.MarkIntent(ctx, i, Refused, "", reason, s.clock.Now())
	return err
}

// Stuck lists calls of a kind whose outcome has been open since before the instant, for the sweeper to look up.
func (s *Intents) Stuck(ctx context.Context, kind string, before time.Time, limit int) ([]Intent, error) {
	return s.store.OpenIntents(ctx, kind, before, limit)
}
