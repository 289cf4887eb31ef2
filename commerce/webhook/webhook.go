// Package webhook tells the shop's own systems what happened: an order paid, a license revoked, a key leaked.
//
// What can be told is what the audit trail holds, since that is written in the transaction of every change. [Service.Relay] follows the
// numbered trail from where it stopped, makes an event of each change that has a type in the catalogue ([Types]), and a delivery of the event
// for each endpoint that wants it, in the transaction that moves its place. So every change is told of that was committed, also one whose
// process died a moment later, and none that was rolled back; and no change waits for its telling.
//
// [Service.Drain] sends what is due to one endpoint, signed as Standard Webhooks describe. A delivery is tried until an answer of 2xx, with
// growing pauses over three days, each attempt with the event's id as its webhook-id. One process at a time works for an endpoint, by a claim
// on its row. Endpoints that fail or are slow wait in a queue of their own, a breaker keeps them from being asked again and again, and
// after three days without a success they are disabled and the staff told.
package webhook

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Endpoint is where events are sent. Zero times mean never.
type Endpoint struct {
	ID          string
	URL         string
	Description string
	Env         licensing.Env // of the objects that it hears of
	Types       []string      // what it wants: names, or families such as "license.*"; none is all
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DisabledAt  time.Time
	DisabledWhy string
	RemovedAt   time.Time
	Health
	Nudged int64 // grows when somebody who came in vain left it to the holder of the claim
}

// Health is what the last attempts tell of an endpoint.
type Health struct {
	Failures     int64     // since the last success
	FailingSince time.Time // the first of them
	OpenUntil    time.Time // before which the breaker lets nothing through
	Slow         bool      // the last answer took long
}

// live reports whether anything is sent to the endpoint.
func (e *Endpoint) live() bool { return e.DisabledAt.IsZero() && e.RemovedAt.IsZero() }

// ails reports whether the endpoint fails or is slow.
func (e *Endpoint) ails() bool { return e.Failures > 0 || e.Slow }

// Why an endpoint is disabled.
const (
	ByStaff   = "staff"   // somebody did it
	ByFailing = "failing" // it took nothing for three days
	ByGone    = "gone"    // it answered 410
)

// Secret is one of an endpoint's secrets, sealed. ExpiresAt is zero for the current one.
type Secret struct {
	ID        string
	Sealed    []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Event is what happened, as it is sent.
type Event struct {
	ID   string
	Type string
	Env  licensing.Env // empty for what belongs to neither environment
	Body string        // JSON
	At   time.Time
}

// State is where a delivery stands.
type State string

// The states of a delivery.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed" // every attempt failed
)

// Delivery is an event for an endpoint. Tries are the attempts since it was last sent by hand, Attempts all.
type Delivery struct {
	ID         string
	EndpointID string
	EventID    string
	State      State
	Attempts   int64
	Tries      int64
	NextAt     time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	// Type, Body and At are the event's.
	Type string
	Body string
	At   time.Time
}

// Attempt is one sending of a delivery. Status is 0 when there was no answer; Error then says why. Excerpt is the beginning of the answer.
type Attempt struct {
	DeliveryID string
	N          int64
	At         time.Time
	Took       time.Duration
	Status     int64
	Excerpt    string
	Error      string
}

// Change is a row of the audit trail, with what its target is now.
type Change struct {
	Num     int64
	At      time.Time
	Action  string
	Target  string
	Product string
	Detail  string
	Subject
}

// Subject is what the object of a change is at the moment.
type Subject struct {
	Env        licensing.Env
	Owner      licensing.Owner
	License    string // of an activation
	Plan       string
	State      string
	ValidUntil time.Time
	Currency   string
	Total      int64
	Refunded   int64
	Disputed   int64
}

// Endpoints keeps endpoints and their secrets. Not found is [licensing.ErrNotFound]; what is removed is not found. Writers run in the
// caller's transaction and report whether they changed anything.
type Endpoints interface {
	AddEndpoint(ctx context.Context, e Endpoint, s Secret) error
	Endpoint(ctx context.Context, id string) (Endpoint, error)
	ListEndpoints(ctx context.Context, page licensing.Page) (licensing.List[Endpoint], error)
	// LiveEndpoints are those that something is sent to.
	LiveEndpoints(ctx context.Context) ([]Endpoint, error)
	// SaveEndpoint changes URL, description, types and health of the endpoint at its version.
	SaveEndpoint(ctx context.Context, e Endpoint) (bool, error)
	// SetDisabled disables, or enables when why is empty, which also forgets how it failed.
	SetDisabled(ctx context.Context, id, why string, at time.Time) (bool, error)
	RemoveEndpoint(ctx context.Context, id string, at time.Time) (bool, error)
	// RotateSecret adds a secret and ends others at until, unless they end before. [ErrTwoSecrets] when two are still good after now.
	RotateSecret(ctx context.Context, id string, s Secret, now, until time.Time) error
	// Secrets are those good at an instant, the newest first.
	Secrets(ctx context.Context, id string, at time.Time) ([]Secret, error)
}

// Deliveries keeps events and what became of them.
type Deliveries interface {
	AddEvents(ctx context.Context, events []Event, deliveries []Delivery) error
	// Due are the pending deliveries whose time has come, the oldest first, with their events.
	Due(ctx context.Context, endpoint string, now time.Time, limit int) ([]Delivery, error)
	// Next is when the next pending delivery is due.
	Next(ctx context.Context, endpoint string) (at time.Time, found bool, err error)
	// Settle keeps an attempt. It moves its delivery unless that is another than it was: then somebody sent it again by hand, which stands.
	// The endpoint gets the health of e unless the claim was lost or its version is another, and whether it got it is returned.
	Settle(ctx context.Context, by string, e Endpoint, was, d Delivery, a Attempt) (bool, error)
	// Hasten makes everything that waits for an endpoint due, as if it had never been tried. In the caller's transaction.
	Hasten(ctx context.Context, endpoint string, at time.Time) error
	Delivery(ctx context.Context, id string) (Delivery, []Attempt, error)
	ListDeliveries(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Delivery], error)
	// Again makes a delivery of an endpoint pending anew, and closes the endpoint's breaker.
	Again(ctx context.Context, d Delivery, at time.Time) error
	// Prune forgets events from before an instant, at most limit at once.
	Prune(ctx context.Context, before time.Time, limit int) error
}

// Claims lets one process at a time work for an endpoint.
type Claims interface {
	// Claim takes an endpoint until an instant unless another has it, who is then told to look once more before it lets go.
	Claim(ctx context.Context, id, by string, now, until time.Time) (bool, error)
	// Hold prolongs a claim; false when it is lost.
	Hold(ctx context.Context, id, by string, until time.Time) (bool, error)
	// Release gives a claim up; false when it is lost, or when somebody came in vain since nudged was read.
	Release(ctx context.Context, id, by string, nudged int64) (bool, error)
	// Drop gives a claim up whoever came in vain, if it was not lost.
	Drop(ctx context.Context, id, by string) error
	// Waiting are the endpoints for which something is due and nobody works.
	Waiting(ctx context.Context, now time.Time, limit int) ([]Endpoint, error)
}

// Trail follows the audit trail.
type Trail interface {
	// Position is the number of the next row to be told of, and how many rows there are.
	Position(ctx context.Context) (at, size int64, err error)
	Changes(ctx context.Context, from int64, limit int) ([]Change, error)
	// Move moves the position in the caller's transaction, and reports whether it was there.
	Move(ctx context.Context, from, to int64) (bool, error)
}

// Filter narrows a list of deliveries; empty members do not.
type Filter struct {
	Endpoint string
	State    State
	Event    string
}

// Sender sends one message and returns what was answered. It gives up in bounded time, reads a bounded part of the answer, and connects
// only to where it may. An error means that there was no answer; its text is shown to staff.
type Sender interface {
	Send(ctx context.Context, url string, header http.Header, body []byte) (Answer, error)
}

// Answer is what a receiver answered.
type Answer struct {
	Status     int
	Excerpt    string        // of the body, as it came
	RetryAfter time.Duration // what it asked for; 0 for nothing
}

// Notices tells the staff, in the caller's transaction.
type Notices interface {
	EndpointDisabled(ctx context.Context, e Endpoint, at time.Time) error
}

// Deps is what a [Service] is made of. All members but Logger are required.
type Deps struct {
	Endpoints  Endpoints
	Deliveries Deliveries
	Repeats    Repeats
	Claims     Claims
	Trail      Trail
	Sender     Sender
	Notices    Notices
	Seal       licensing.Sealer
	Clock      licensing.Clock
	IDs        licensing.IDs
	Tx         licensing.Transactor
	Audit      licensing.Auditor
	Jobs       licensing.Enqueuer
	Switches   licensing.Switches
	Logger     *slog.Logger
	// Loopback allows http and receivers on this machine, for development. The Sender has to allow it too.
	Loopback bool
}

// Service keeps endpoints, makes events and delivers them. It is safe for concurrent use, also by several processes on one database.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{d}
}

// The kinds of the jobs that work for an endpoint, with [JobArgs]: JobSend for those that do well, JobProbe for those that fail or are slow, so
// that the latter take no worker from the former.
const (
	JobSend  = "webhook.send"
	JobProbe = "webhook.probe"
)

// JobArgs are the arguments of [JobSend] and [JobProbe].
type JobArgs struct {
	Endpoint string `json:"endpoint"`
}

// nudge enqueues work for an endpoint. unique keeps two nudges apart.
func (s *Service) nudge(ctx context.Context, e *Endpoint, unique string, at time.Time) error {
	kind := JobSend
	if e.ails() {
		kind = JobProbe
	}
	return s.Jobs.Enqueue(ctx, licensing.Job{Kind: kind, Unique: e.ID + "/" + unique, Args: JobArgs{Endpoint: e.ID}, At: at})
}

// Handle is the handler of [JobSend]. It leaves an endpoint that fails or is slow to [Service.Probe].
func (s *Service) Handle(ctx context.Context, args json.RawMessage) error {
	var a JobArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	return s.drain(ctx, a.Endpoint, true)
}

// Probe is the handler of [JobProbe].
func (s *Service) Probe(ctx context.Context, args json.RawMessage) error {
	var a JobArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	return s.Drain(ctx, a.Endpoint)
}

var (
	// ErrTwoSecrets refuses a third secret while two are good.
	ErrTwoSecrets = licensing.Fail(licensing.Conflict, "two-secrets", "Two secrets are good at the moment. Wait until the older one ends, or take a new one without an overlap, which ends both at once.")

	errForm    = licensing.Fail(licensing.Invalid, "webhook-form", "The endpoint cannot be kept as described; see the fields.")
	errChanged = licensing.Fail(licensing.Conflict, "webhook-changed", "The endpoint was changed meanwhile. Look at it again.")
	errOff     = licensing.Fail(licensing.Conflict, "webhook-disabled", "The endpoint is disabled. Enable it first.")
)
