package payment

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// EventView is an event of the inbox as staff see it.
type EventView struct {
	ID         string     `json:"id" doc:"The provider's event id." example:"evt_0190a6f0c5b87c2ab0f14d5c6e7f8091"`
	Type       string     `json:"type" doc:"The provider's event type." example:"checkout.session.completed"`
	State      State      `json:"state" doc:"What became of it." enum:"pending,done,ignored,parked"`
	Reason     string     `json:"reason,omitempty" doc:"Why it is parked, or why the last attempt failed."`
	Attempts   int64      `json:"attempts" doc:"Failed attempts so far."`
	Object     string     `json:"object" doc:"Id of the object it speaks of."`
	ObjectKind string     `json:"object_kind" doc:"Kind of that object." example:"checkout.session"`
	Order      string     `json:"order,omitempty" doc:"Our order, where the object names it."`
	APIVersion string     `json:"api_version" doc:"The provider's API version of the event." example:"2023-10-16"`
	Live       bool       `json:"live" doc:"Whether it is about real money."`
	Origin     string     `json:"origin" doc:"How it came: by a delivery, or found by the sweeper." enum:"delivery,sweep"`
	CreatedAt  time.Time  `json:"created_at" doc:"When the provider made it."`
	ReceivedAt time.Time  `json:"received_at" doc:"When it was stored here."`
	NextTry    *time.Time `json:"next_try,omitempty" doc:"When it is tried next; pending events only."`
	SettledAt  *time.Time `json:"settled_at,omitempty" doc:"When it left the state pending."`
}

func viewOf(r Row) EventView {
	v := EventView{
		ID: r.ID, Type: r.Type, State: r.State, Reason: r.Reason, Attempts: r.Attempts, Object: r.Object, ObjectKind: r.ObjectKind, Order: r.Order,
		APIVersion: r.APIVersion, Live: r.Live, Origin: r.Origin, CreatedAt: r.Created, ReceivedAt: r.ReceivedAt,
	}
	if r.State == Pending {
		v.NextTry = &r.NextTry
	}
	if !r.SettledAt.IsZero() {
		v.SettledAt = &r.SettledAt
	}
	return v
}

// ListRequest asks for events of the inbox.
type ListRequest struct {
	licensing.Page
	State string `query:"state" doc:"Only events of this state; all unless said." enum:"pending,done,ignored,parked"`
}

// List lists events, newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[EventView], error) {
	rows, err := s.Store.EventRows(ctx, State(r.State), r.Page)
	if err != nil {
		return licensing.List[EventView]{}, err
	}
	out := licensing.List[EventView]{Items: make([]EventView, len(rows.Items)), Next: rows.Next}
	for i, row := range rows.Items {
		out.Items[i] = viewOf(row)
	}
	return out, nil
}

// InspectRequest asks for one event.
type InspectRequest struct {
	ID string `path:"id" doc:"The provider's event id."`
}

// InspectResponse is one event with the delivery it came by.
type InspectResponse struct {
	EventView
	Body string `json:"body" doc:"The event as the provider sent it: JSON text."`
}

// Inspect returns one event.
func (s *Service) Inspect(ctx context.Context, r InspectRequest) (InspectResponse, error) {
	row, err := s.Store.EventRow(ctx, r.ID)
	if err != nil {
		return InspectResponse{}, err
	}
	return InspectResponse{EventView: viewOf(row), Body: string(row.Raw)}, nil
}

// RetryRequest asks for a parked event to be tried again.
type RetryRequest struct {
	ID     string `path:"id" doc:"The provider's event id."`
	Reason string `json:"reason" doc:"Why it should succeed now; kept in the audit trail." example:"Order corrected by hand."`
}

// Validate implements the request check.
func (r RetryRequest) Validate() error {
	if len(r.Reason) < 3 || len(r.Reason) > 500 {
		return licensing.Fail(licensing.Invalid, "reason-required", "Say why.").With("/reason", "must have 3 to 500 characters")
	}
	return nil
}

// ErrNotParked is the answer to a retry of an event that is not parked.
var ErrNotParked = licensing.Fail(licensing.Conflict, "event-not-parked", "Only a parked event can be tried again.")

// Retry makes a parked event pending again and has it processed at once.
func (s *Service) Retry(ctx context.Context, r RetryRequest) (EventView, error) {
	var row Row
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		won, err := s.Store.Settle(ctx, r.ID, Parked, Pending, "", s.Clock.Now())
		if err != nil {
			return err
		}
		if row, err = s.Store.EventRow(ctx, r.ID); err != nil {
			return err
		}
		if !won {
			return ErrNotParked
		}
		if err := s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobProcess, Unique: r.ID + ":again:" + row.NextTry.Format(time.RFC3339Nano), Args: ProcessArgs{Event: r.ID}}); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "payment_event.retry", Target: r.ID, Reason: r.Reason})
	})
	if err != nil {
		return EventView{}, err
	}
	return viewOf(row), nil
}

// Retried is the answer to a repeated [Service.Retry]: the event as it stands now.
func (s *Service) Retried(ctx context.Context, resultID, _ string) (EventView, error) {
	row, err := s.Store.EventRow(ctx, resultID)
	return viewOf(row), err
}
