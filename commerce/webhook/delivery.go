package webhook

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// DeliveryView is an event for an endpoint, and what became of it.
type DeliveryView struct {
	ID        string     `json:"id" doc:"The delivery."`
	Endpoint  string     `json:"endpoint" doc:"The endpoint it is for."`
	Event     string     `json:"event" doc:"The event; its messages have this webhook-id."`
	Type      string     `json:"type" doc:"Type of the event."`
	State     string     `json:"state" doc:"Where it stands; failed means that every attempt failed." enum:"pending,delivered,failed"`
	Attempts  int64      `json:"attempts" doc:"How often it was sent."`
	NextAt    *time.Time `json:"next_at,omitempty" doc:"When it is sent next, at the earliest."`
	At        time.Time  `json:"at" doc:"When it happened."`
	UpdatedAt time.Time  `json:"updated_at" doc:"When it was last sent or changed."`
}

func (d *Delivery) view() DeliveryView {
	v := DeliveryView{ID: d.ID, Endpoint: d.EndpointID, Event: d.EventID, Type: d.Type, State: string(d.State), Attempts: d.Attempts, At: d.At, UpdatedAt: d.UpdatedAt}
	if d.State == Pending {
		v.NextAt = instant(d.NextAt)
	}
	return v
}

// AttemptView is one sending.
type AttemptView struct {
	N       int64     `json:"n" doc:"Which one it was."`
	At      time.Time `json:"at" doc:"When."`
	TookMS  int64     `json:"took_ms" doc:"How long it took, in milliseconds."`
	Status  int64     `json:"status,omitempty" doc:"HTTP status of the answer; absent when there was none."`
	Excerpt string    `json:"excerpt,omitempty" doc:"Beginning of the answer, up to 256 bytes, on one line."`
	Error   string    `json:"error,omitempty" doc:"Why there was no answer."`
}

// DetailView is a delivery with its attempts and what is sent.
type DetailView struct {
	Delivery DeliveryView    `json:"delivery" doc:"The delivery."`
	Attempts []AttemptView   `json:"attempts" doc:"The attempts, the newest first; at most fifty."`
	Body     json.RawMessage `json:"body" doc:"What is sent."`
}

// DeliveriesRequest narrows and pages the deliveries.
type DeliveriesRequest struct {
	licensing.Page
	Endpoint string `query:"endpoint" doc:"Only those for this endpoint."`
	State    State  `query:"state" doc:"Only those in this state." enum:"pending,delivered,failed"`
	Event    string `query:"event" doc:"Only those of this event."`
}

// ListDeliveries returns deliveries of the last thirty days, the newest first.
func (s *Service) ListDeliveries(ctx context.Context, r DeliveriesRequest) (licensing.List[DeliveryView], error) {
	page, err := s.Deliveries.ListDeliveries(ctx, Filter{Endpoint: r.Endpoint, State: r.State, Event: r.Event}, r.Page)
	out := licensing.List[DeliveryView]{Items: make([]DeliveryView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, err
}

// DeliveryRequest names a delivery.
type DeliveryRequest struct {
	ID string `path:"id" doc:"The delivery."`
}

// GetDelivery returns a delivery with its attempts.
func (s *Service) GetDelivery(ctx context.Context, r DeliveryRequest) (DetailView, error) {
	d, attempts, err := s.Deliveries.Delivery(ctx, r.ID)
	if err != nil {
		return DetailView{}, err
	}
	out := DetailView{Delivery: d.view(), Attempts: make([]AttemptView, len(attempts)), Body: json.RawMessage(d.Body)}
	for i, a := range attempts {
		out.Attempts[i] = AttemptView{N: a.N, At: a.At, TookMS: a.Took.Milliseconds(), Status: a.Status, Excerpt: a.Excerpt, Error: a.Error}
	}
	return out, nil
}

// DeliveryAgain answers a replay of an operation whose result is the delivery with the given id.
func (s *Service) DeliveryAgain(ctx context.Context, id, _ string) (DeliveryView, error) {
	d, _, err := s.Deliveries.Delivery(ctx, id)
	return d.view(), err
}

// Redeliver sends a delivery again now, whatever became of it, with the webhook-id it always had.
func (s *Service) Redeliver(ctx context.Context, r DeliveryRequest) (DeliveryView, error) {
	var d Delivery
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if d, _, err = s.Deliveries.Delivery(ctx, r.ID); err != nil {
			return err
		}
		return s.dispatch(ctx, &d, "webhook.redeliver")
	})
	return d.view(), err
}

// dispatch makes a delivery due, in the caller's transaction, and says so in the trail.
func (s *Service) dispatch(ctx context.Context, d *Delivery, action string) error {
	e, err := s.Endpoints.Endpoint(ctx, d.EndpointID)
	if err != nil {
		return err
	}
	if !e.live() {
		return errOff
	}
	now := s.Clock.Now()
	d.State, d.Tries, d.NextAt, d.UpdatedAt = Pending, 0, now, now
	if err := s.Deliveries.Again(ctx, *d, now); err != nil {
		return err
	}
	if err := s.nudge(ctx, &e, d.ID+now.Format(time.RFC3339Nano), time.Time{}); err != nil {
		return err
	}
	return s.Audit.Record(ctx, licensing.Event{Action: action, Target: d.ID, Detail: map[string]any{"endpoint": e.ID, "event": d.EventID, "type": d.Type}})
}

// Try sends an event of the type [Test] to an endpoint, whatever it wants.
func (s *Service) Try(ctx context.Context, r EndpointRequest) (DeliveryView, error) {
	var d Delivery
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		e, err := s.Endpoints.Endpoint(ctx, r.ID)
		if err != nil {
			return err
		}
		now := s.Clock.Now()
		ev, err := s.event(payload{Type: Test, Timestamp: now, Data: data{ID: e.ID, Object: object(e.ID), Env: e.Env}}, e.Env)
		if err != nil {
			return err
		}
		d = s.delivery(e.ID, &ev, now)
		if err := s.Deliveries.AddEvents(ctx, []Event{ev}, []Delivery{d}); err != nil {
			return err
		}
		return s.dispatch(ctx, &d, "webhook.test")
	})
	return d.view(), err
}
