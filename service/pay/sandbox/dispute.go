package sandbox

import (
	"errors"
	"slices"
	"time"
)

// dispute is a buyer's bank taking money back. Status is needs_response, won or lost.
type dispute struct {
	ID, Status, Reason, Currency, Charge, Intent string
	Amount                                       int64
	Metadata                                     map[string]string
	Created                                      time.Time
}

func (d *dispute) record() Record {
	return Record{Kind: "dispute", ID: d.ID, Ref: d.Intent, At: d.Created}
}

func (d *dispute) show() fields {
	return fields{
		"id": d.ID, "object": "dispute", "amount": d.Amount, "currency": d.Currency, "charge": d.Charge, "payment_intent": d.Intent, "reason": d.Reason,
		"status": d.Status, "is_charge_refundable": false, "metadata": d.Metadata, "created": unix(d.Created), "livemode": false,
	}
}

func (s *Server) listDisputes(r *request) (any, error) {
	of := r.str("charge")
	return r.page("dispute", "/v1/disputes", Query{Ref: r.str("payment_intent")}, func(o shower) bool { return of == "" || o.(*dispute).Charge == of })
}

// controlDispute has the buyer's bank dispute what is left of a charge: parameter reason, "fraudulent" unless said.
func (s *Server) controlDispute(r *request) (any, error) {
	var ch charge
	if err := r.get("charge", r.id(), &ch); err != nil {
		return nil, err
	}
	if ch.Status != "succeeded" || ch.Disputed || ch.Refunded == ch.Amount {
		return nil, invalid("", "", "Charge %s cannot be disputed.", ch.ID)
	}
	d := &dispute{ID: s.IDs("dp"), Status: "needs_response", Reason: r.str("reason"), Currency: ch.Currency, Charge: ch.ID, Intent: ch.Intent, Amount: ch.Amount - ch.Refunded, Metadata: map[string]string{}, Created: r.now}
	if d.Reason == "" {
		d.Reason = "fraudulent"
	}
	ch.Disputed = true
	return d.show(), errors.Join(r.put(d), r.put(&ch), r.emit("charge.dispute.created", d))
}

// controlDecide ends a dispute: parameter outcome, won (the money stays with the shop) or lost. The charge stays marked as
// disputed either way, as it does at Stripe.
func (s *Server) controlDecide(r *request) (any, error) {
	outcome := r.str("outcome")
	if !slices.Contains([]string{"won", "lost"}, outcome) {
		return nil, invalid("", "outcome", "Invalid outcome: must be won or lost.")
	}
	var d dispute
	if err := r.get("dispute", r.id(), &d); err != nil {
		return nil, err
	}
	if d.Status != "needs_response" {
		return nil, invalid("", "", "Dispute %s is decided.", d.ID)
	}
	d.Status = outcome
	return d.show(), errors.Join(r.put(&d), r.emit("charge.dispute.closed", &d))
}
