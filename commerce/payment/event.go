package payment

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// State is what became of an event of the inbox.
type State string

// The states of an event. Only pending ones are worked on; a parked one waits for a person.
const (
	Pending State = "pending"
	Done    State = "done"
	Ignored State = "ignored" // nobody listens to this kind of object or type
	Parked  State = "parked"
)

// Row is an event in the inbox.
type Row struct {
	Event
	// Origin is "delivery" or "sweep".
	Origin     string
	State      State
	Reason     string // why it is parked, or why the last attempt failed
	Attempts   int64
	ReceivedAt time.Time
	NextTry    time.Time
	SettledAt  time.Time // zero while pending
}

// Backlog is what waits in the inbox.
type Backlog struct {
	Pending int64
	Parked  int64
	// Oldest is when the oldest pending event was received, zero without one.
	Oldest time.Time
}

// Lag is how long the oldest pending event has waited.
func (b Backlog) Lag(now time.Time) time.Duration {
	if b.Oldest.IsZero() {
		return 0
	}
	return max(now.Sub(b.Oldest), 0)
}

// Store keeps the inbox. Methods take part in the transaction in ctx if there is one.
type Store interface {
	// AddEvent inserts a pending row unless its event id is known; it reports whether it did. Of an event about an order whose buyer was erased it
	// keeps the order and nothing of what the provider told.
	AddEvent(ctx context.Context, r Row) (bool, error)
	// EventRow returns one row with its body, or [licensing.ErrNotFound].
	EventRow(ctx context.Context, id string) (Row, error)
	// EventRows lists rows without their bodies, newest first; state "" lists all.
	EventRows(ctx context.Context, state State, page licensing.Page) (licensing.List[Row], error)
	// Settle moves a row from pending to another state, or from parked to pending; false means that it was not in from.
	Settle(ctx context.Context, id string, from, to State, reason string, at time.Time) (bool, error)
	// Defer records a failed attempt of a pending row and when to try again.
	Defer(ctx context.Context, id, reason string, next time.Time) error
	// DueEvents returns ids of pending rows whose next try is at or before the instant, oldest first.
	DueEvents(ctx context.Context, before time.Time, limit int) ([]string, error)
	Backlog(ctx context.Context) (Backlog, error)
	// Cursor is how far the walk along the provider's events has come; zero before the first.
	Cursor(ctx context.Context) (time.Time, error)
	// MoveCursor moves it forward, never back.
	MoveCursor(ctx context.Context, to time.Time) error
}

// Applier brings an event of one kind of object into effect.
type Applier interface {
	// Apply runs outside any transaction: it fetches the object's current state from the provider, compares, signs. The
	// function it returns (nil for nothing to do) runs in the transaction that marks the event done, and may be run again.
	// [ErrPending] keeps the event for later, [Park] hands it to a person, [ErrIgnored] records that it means nothing to us;
	// any other error is tried again.
	Apply(ctx context.Context, e Event) (commit func(ctx context.Context) error, err error)
}

// What an [Applier] answers besides success.
var (
	// ErrPending means that the object is not known here yet.
	ErrPending = errors.New("payment: object not known yet")
	// ErrIgnored means that events of this type have no effect.
	ErrIgnored = errors.New("payment: nothing to do for this type of event")
)

type parked struct{ reason string }

func (p *parked) Error() string { return "payment: parked: " + p.reason }

// Park returns an error that parks the event: an alert is raised, nothing is applied, nothing is dropped. reason is a short
// machine-readable code ("amount-differs").
func Park(reason string) error { return &parked{reason} }
