package checkout

import (
	"context"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// ErrNotParked is the answer to a person who would deal with an order that waits for none, or that somebody else dealt with.
var ErrNotParked = licensing.Fail(licensing.Conflict, "order-not-parked", "The order does not wait for a person any more. Look at it again: somebody may have dealt with it.")

// ErrMoneyDisputed is the answer to a person who would deal with an order whose payment is disputed.
var ErrMoneyDisputed = licensing.Fail(licensing.Conflict, "order-disputed", "The payment of the order is disputed, and the dispute decides about it. Deal with the order when it has ended.")

// ResolveRequest says how a person dealt with a parked order.
type ResolveRequest struct {
	ID     string `path:"id" doc:"Id of the order."`
	Reason string `json:"reason" doc:"What was done about it, for the audit trail and the order's page, where its buyer may read it." example:"Gave license lic_01a2… by hand; the buyer agrees."`
}

// Validate checks the form.
func (r ResolveRequest) Validate() error {
	if r.Reason == "" {
		return licensing.Fail(licensing.Invalid, "invalid", "The order cannot be resolved like this.").With("/reason", "must say what was done about it")
	}
	return licensing.CheckReason(r.Reason)
}

// Resolve ends the wait of a parked order for a person, who dealt with it and says how: gave something by hand, agreed with the buyer, settled the
// matter elsewhere. It moves no money and gives or takes nothing. A paid order is fulfilled then, any other closed; refunds and disputes are applied
// to it as ever, and money that is news parks it again. Saying the same again changes nothing.
func (s *Service) Resolve(ctx context.Context, r ResolveRequest) (order.View, error) {
	if err := r.Validate(); err != nil {
		return order.View{}, err
	}
	for range attempts {
		was, err := s.Orders.Order(ctx, r.ID)
		if err != nil {
			return order.View{}, err
		}
		switch {
		case was.Resolved() && was.Reason == r.Reason:
			return order.Show(&was), nil
		case was.State != order.Parked:
			return order.View{}, ErrNotParked
		case was.Disputed > 0:
			return order.View{}, ErrMoneyDisputed
		}
		o, lost := was, false
		err = s.Tx.InTx(ctx, func(ctx context.Context) error {
			o = was
			o.State, o.Reason, o.ResolvedAt = order.Closed, r.Reason, s.Clock.Now()
			if !o.PaidAt.IsZero() {
				o.State = order.Fulfilled
			}
			o.Version, o.UpdatedAt = was.Version+1, o.ResolvedAt
			if ok, err := s.Orders.Save(ctx, o); err != nil || !ok {
				lost = !ok
				return orLost(err)
			}
			if err := s.note(ctx, o.ID, "resolved", r.Reason); err != nil {
				return err
			}
			return s.Audit.Record(ctx, licensing.Event{Action: "order.resolve", Target: o.ID, Reason: r.Reason,
				Detail: map[string]any{"from": was.State, "to": o.State, "because": was.Reason, "stray": o.Stray.Left(), "version": o.Version}})
		})
		if err == nil {
			return order.Show(&o), nil
		}
		if !lost {
			return order.View{}, err
		}
	}
	return order.View{}, errLost
}

// orLost is the error of a change of an order, or that somebody else changed it first.
func orLost(err error) error {
	if err == nil {
		return errLost
	}
	return err
}

// ResolveAgain answers a replay of Resolve.
func (s *Service) ResolveAgain(ctx context.Context, id, _ string) (order.View, error) {
	o, err := s.Orders.Order(ctx, id)
	if err != nil {
		return order.View{}, err
	}
	return order.Show(&o), nil
}
