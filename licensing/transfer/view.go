package transfer

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// View is a request as its two sides and staff see it. Whose account the other side has, only staff are told.
type View struct {
	ID      string `json:"id" doc:"The transfer."`
	License string `json:"license" doc:"The license."`
	Product string `json:"product" doc:"What the license is for."`
	KeyHint string `json:"key_hint,omitempty" doc:"The last characters of the license key as it is now; to those whose key it is, and staff."`
	State   string `json:"state" doc:"How far it is: offered until who is named accepts, accepted while the shop has to approve." enum:"offered,accepted,done,cancelled,declined,lapsed"`
	// Side is which of the two the caller is.
	Side string `json:"side,omitempty" doc:"Whether the caller gives the license away or gets it; absent for staff." enum:"from,to"`
	Open bool   `json:"open" doc:"Whether it can still come true."`
	// Email is forgotten once the request is over.
	Email      string     `json:"email,omitempty" doc:"E-mail address that it was offered to; absent once it is over."`
	From       string     `json:"from,omitempty" doc:"The customer or organisation that gives it away; for staff."`
	To         string     `json:"to,omitempty" doc:"The customer or organisation that gets it, once accepted; for staff."`
	Approval   bool       `json:"approval" doc:"Whether the license's policy wants the shop to approve."`
	Reason     string     `json:"reason,omitempty" doc:"What the shop said when it declined."`
	DecidedBy  string     `json:"decided_by,omitempty" doc:"Who approved or declined; for staff."`
	CreatedAt  time.Time  `json:"created_at" doc:"When it was asked for."`
	ExpiresAt  time.Time  `json:"expires_at" doc:"When it lapses unless it goes on: by an acceptance, then by the shop."`
	AcceptedAt *time.Time `json:"accepted_at,omitempty" doc:"When it was accepted."`
	EndedAt    *time.Time `json:"ended_at,omitempty" doc:"When it was over."`
}

// viewOf is r for an actor.
func viewOf(r *Request, a licensing.Actor) View {
	v := View{ID: r.ID, License: r.LicenseID, Product: r.product(), KeyHint: r.KeyHint, State: string(r.State), Open: r.State == Offered || r.State == Accepted, Email: r.Email, Approval: r.Approval,
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, AcceptedAt: optional(r.AcceptedAt), EndedAt: optional(r.EndedAt)}
	if r.State == Declined || a.Kind != licensing.Customer {
		v.Reason = r.Reason
	}
	switch {
	case a.Kind != licensing.Customer:
		v.From, v.To, v.DecidedBy = string(r.From), string(r.To), r.DecidedBy
	case a.Owner == r.From:
		v.Side = "from"
	default:
		v.Side = "to"
	}
	if v.Side != "" && !(v.Side == "from" && v.Open) {
		v.KeyHint = "" // of somebody else's key
	}
	return v
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// GetRequest names a request.
type GetRequest struct {
	ID string `path:"id" doc:"The transfer."`
}

// Get returns a request: any of them to staff, to customers those of which they are a side.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	a := licensing.ActorFrom(ctx)
	var q Request
	var err error
	if a.Kind == licensing.Customer {
		if a, err = customer(ctx); err == nil {
			q, err = s.Store.RequestOf(ctx, r.ID, a.Owner)
		}
	} else {
		q, err = s.Store.Request(ctx, r.ID)
	}
	if err != nil {
		return View{}, err
	}
	return viewOf(&q, a), nil
}

// ListRequest asks for requests.
type ListRequest struct {
	licensing.Page
	License string `query:"license" doc:"Only those of this license."`
	State   string `query:"state" doc:"Only those in this state; accepted are those that wait for the shop." enum:"offered,accepted,done,cancelled,declined,lapsed"`
}

// Validate refuses a state that there is not.
func (r ListRequest) Validate() error {
	switch State(r.State) {
	case "", Offered, Accepted, Done, Cancelled, Declined, Lapsed:
		return nil
	}
	return licensing.Fail(licensing.Invalid, "invalid", "There is no such state.").With("state", "must be offered, accepted, done, cancelled, declined or lapsed")
}

// List returns requests, the newest first: all of them to staff, to customers those of which they are a side.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	if err := r.Validate(); err != nil {
		return licensing.List[View]{}, err
	}
	a, f := licensing.ActorFrom(ctx), Filter{License: r.License, State: State(r.State)}
	if a.Kind == licensing.Customer {
		if _, err := customer(ctx); err != nil {
			return licensing.List[View]{}, err
		}
		f.Owner = a.Owner
	}
	page, err := s.Store.ListRequests(ctx, f, r.Page)
	if err != nil {
		return licensing.List[View]{}, err
	}
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = viewOf(&page.Items[i], a)
	}
	return out, nil
}
