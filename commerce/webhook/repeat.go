package webhook

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Repeats finds deliveries of an endpoint by how they stand and when their events happened, and sends them again.
type Repeats interface {
	CountDeliveries(ctx context.Context, s Selection) (int64, error)
	// Repeat makes the oldest of the deliveries pending anew, at most most of them, and closes the endpoint's breaker, in the caller's transaction.
	// It returns how many it made so, which leaves out those that somebody else sent again meanwhile, and the last of them where there are more.
	Repeat(ctx context.Context, s Selection, at time.Time, most int) (n int64, last string, err error)
}

// Selection is the deliveries of an endpoint in a state whose events happened since an instant and before another. Zero members do not narrow.
type Selection struct {
	Endpoint string
	State    State
	Since    time.Time
	Until    time.Time
	After    string // those behind this one, by id
}

// repeatMost is how many deliveries are sent again by one request: what a writer changes in a few hundredths of a second.
const repeatMost = 1000

// CountRequest asks how many deliveries there are.
type CountRequest struct {
	Endpoint string    `query:"endpoint" doc:"Only those for this endpoint."`
	State    State     `query:"state" doc:"Only those in this state." enum:"pending,delivered,failed"`
	Since    time.Time `query:"since" doc:"Only those whose event happened at this instant or later."`
	Until    time.Time `query:"until" doc:"Only those whose event happened before this instant."`
}

// CountResponse is how many there are.
type CountResponse struct {
	Count int64 `json:"count" doc:"How many deliveries of the last thirty days there are."`
}

// CountDeliveries counts deliveries: what sending them again would be about.
func (s *Service) CountDeliveries(ctx context.Context, r CountRequest) (CountResponse, error) {
	n, err := s.Repeats.CountDeliveries(ctx, Selection{Endpoint: r.Endpoint, State: r.State, Since: r.Since, Until: r.Until})
	return CountResponse{Count: n}, err
}

// RepeatRequest asks for deliveries of an endpoint to be sent again.
type RepeatRequest struct {
	ID    string     `path:"id" doc:"The endpoint."`
	State State      `json:"state,omitempty" doc:"Those in this state; failed unless said. What is pending is sent anyhow." enum:"failed,delivered"`
	Since *time.Time `json:"since,omitempty" doc:"Those whose event happened at this instant or later; all of the last thirty days unless said."`
	Until *time.Time `json:"until,omitempty" doc:"Those whose event happened before this instant; until now unless said."`
	After string     `json:"after,omitempty" doc:"What next said in the answer before, to go on from there."`
}

// RepeatResponse says how many are sent again.
type RepeatResponse struct {
	Endpoint string `json:"endpoint" doc:"The endpoint."`
	Count    int64  `json:"count" doc:"How many events are on their way again; at most 1000, the oldest first."`
	Next     string `json:"next,omitempty" doc:"Where to go on, when there are more: ask again with this as after."`
}

// Repeat sends deliveries of an endpoint again now, each with the webhook-id it always had. What is pending already, also because somebody else
// asked for the same, stays as it is.
func (s *Service) Repeat(ctx context.Context, r RepeatRequest) (RepeatResponse, error) {
	now := s.Clock.Now()
	sel := Selection{Endpoint: r.ID, State: r.State, Until: now, After: r.After}
	if r.Since != nil {
		sel.Since = *r.Since
	}
	if r.Until != nil {
		sel.Until = *r.Until
	}
	switch {
	case sel.State == "":
		sel.State = Failed
	case sel.State != Failed && sel.State != Delivered:
		return RepeatResponse{}, errRepeat.With("/state", "must be failed or delivered")
	}
	if !sel.Since.Before(sel.Until) {
		return RepeatResponse{}, errRepeat.With("/since", "must be before until")
	}
	out := RepeatResponse{Endpoint: r.ID}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		e, err := s.Endpoints.Endpoint(ctx, r.ID)
		if err != nil {
			return err
		}
		if !e.live() {
			return errOff
		}
		if out.Count, out.Next, err = s.Repeats.Repeat(ctx, sel, now, repeatMost); err != nil {
			return err
		}
		if out.Count > 0 {
			if err := s.nudge(ctx, &e, "again/"+now.Format(time.RFC3339Nano), time.Time{}); err != nil {
				return err
			}
		}
		licensing.KeepOnce(ctx, strconv.FormatInt(out.Count, 10)+" "+out.Next) // no secret, but what a replay has to say
		detail := map[string]any{"state": sel.State, "count": out.Count, "until": sel.Until}
		if !sel.Since.IsZero() {
			detail["since"] = sel.Since
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "webhook.redeliver-many", Target: e.ID, Detail: detail})
	})
	if err != nil {
		return RepeatResponse{}, err
	}
	return out, nil
}

// RepeatAgain answers a replay of Repeat. After ten minutes nobody knows any more what was answered.
func (s *Service) RepeatAgain(_ context.Context, id, kept string) (RepeatResponse, error) {
	count, next, _ := strings.Cut(kept, " ")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return RepeatResponse{}, errRepeated
	}
	return RepeatResponse{Endpoint: id, Count: n, Next: next}, nil
}

var (
	errRepeat   = licensing.Fail(licensing.Invalid, "webhook-repeat", "Nothing can be sent again like this; see the fields.")
	errRepeated = licensing.Fail(licensing.Conflict, "webhook-repeated", "This was done before. How many events it was about is in the audit trail.")
)
