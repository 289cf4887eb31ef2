package sandbox

import (
	"errors"
	"slices"
	"time"
)

// The numbers a buyer may enter, and what becomes of each.
const (
	CardSucceeds    = "4242424242424242"
	CardDeclined    = "4000000000000002"
	DebitSucceeds   = "debit_succeeds" // completes unpaid, money arrives later
	DebitFails      = "debit_fails"    // completes unpaid, money never arrives
	declinedMessage = "Your card has been declined."
)

// errClosed is what pay returns for a session that is not open.
var errClosed = errors.New("sandbox: session is not open")

// pay takes the buyer's decision. A declined card leaves the session open and its failed attempt on record.
func (u *unit) pay(c *session, method, email string) (declined bool, err error) {
	if c.Status != "open" || !u.now.Before(c.ExpiresAt) {
		return false, errClosed
	}
	c.Email = email
	if c.Total == 0 {
		c.Payment = "no_payment_required"
		return false, u.complete(c)
	}
	p := &intent{ID: u.s.IDs("pi"), Amount: c.Total, Currency: c.Currency, Session: c.ID, Metadata: c.IntentMetadata, Created: u.now}
	if c.Intent != "" { // a second attempt after a decline
		if err := u.get("payment_intent", c.Intent, p); err != nil {
			return false, err
		}
	}
	c.Intent = p.ID
	ch := &charge{ID: u.s.IDs("ch"), Amount: c.Total, Currency: c.Currency, Intent: p.ID, Method: "card", Email: email, Metadata: p.Metadata, Created: u.now}
	p.Charge, p.Failure = ch.ID, nil
	switch method {
	case CardDeclined:
		return true, u.decline(c, p, ch)
	case DebitSucceeds, DebitFails:
		p.Status, ch.Status, ch.Method, ch.Last4 = "processing", "pending", "sepa_debit", "3000"
		c.SettleAt, c.SettleFails = u.now.Add(u.s.SettleAfter), method == DebitFails
		return false, errors.Join(u.put(ch), u.put(p), u.complete(c))
	default:
		p.Status, ch.Status, ch.Last4 = "succeeded", "succeeded", "4242"
		c.Payment = "paid"
		return false, errors.Join(u.put(ch), u.put(p), u.emit("payment_intent.succeeded", p), u.emit("charge.succeeded", ch), u.complete(c))
	}
}

func (u *unit) decline(c *session, p *intent, ch *charge) error {
	ch.Failure = &failure{Code: "card_declined", Decline: "generic_decline", Message: declinedMessage, Type: "card_error"}
	ch.Status, ch.Last4 = "failed", "0002"
	p.Status, p.Failure = "requires_payment_method", ch.Failure
	return errors.Join(u.put(ch), u.put(p), u.put(c), u.emit("charge.failed", ch), u.emit("payment_intent.payment_failed", p))
}

// complete ends the buyer's part: the session is complete, its coupon redeemed.
func (u *unit) complete(c *session) error {
	c.Status = "complete"
	if c.Coupon != "" {
		var off coupon
		if err := u.get("coupon", c.Coupon, &off); err != nil {
			return err
		}
		off.Redeemed++
		if err := u.put(&off); err != nil {
			return err
		}
	}
	return errors.Join(u.put(c), u.emit("checkout.session.completed", c))
}

// settle brings a delayed payment to its end.
func (u *unit) settle(c *session, fails bool) error {
	if c.Status != "complete" || c.Payment != "unpaid" || c.SettleAt.IsZero() {
		return errClosed
	}
	var p intent
	if err := u.get("payment_intent", c.Intent, &p); err != nil {
		return err
	}
	var ch charge
	if err := u.get("charge", p.Charge, &ch); err != nil {
		return err
	}
	c.SettleAt, c.SettleFails = time.Time{}, fails
	if fails {
		ch.Failure = &failure{Code: "insufficient_funds", Message: "The bank returned the debit: insufficient funds.", Type: "card_error"}
		ch.Status, p.Status, p.Failure = "failed", "requires_payment_method", ch.Failure
		return errors.Join(u.put(&ch), u.put(&p), u.put(c), u.emit("charge.failed", &ch), u.emit("payment_intent.payment_failed", &p), u.emit("checkout.session.async_payment_failed", c))
	}
	ch.Status, p.Status, c.Payment = "succeeded", "succeeded", "paid"
	return errors.Join(u.put(&ch), u.put(&p), u.put(c), u.emit("charge.succeeded", &ch), u.emit("payment_intent.succeeded", &p), u.emit("checkout.session.async_payment_succeeded", c))
}

func (u *unit) intent(id string, withCharge bool) (fields, error) {
	var p intent
	if err := u.get("payment_intent", id, &p); err != nil {
		return nil, err
	}
	out := p.show()
	if withCharge && p.Charge != "" {
		var ch charge
		if err := u.get("charge", p.Charge, &ch); err != nil {
			return nil, err
		}
		out["latest_charge"] = ch.show()
	}
	return out, nil
}

func (s *Server) retrieveIntent(r *request) (any, error) {
	wanted, err := r.strings("expand")
	if err != nil {
		return nil, err
	}
	return r.intent(r.id(), slices.Contains(wanted, "latest_charge"))
}

func (s *Server) createRefund(r *request) (any, error) {
	meta, err := r.metadata("metadata")
	if err != nil {
		return nil, err
	}
	amount, err := r.integer("amount")
	if err != nil {
		return nil, err
	}
	f := &refund{ID: s.IDs("re"), Status: "succeeded", Intent: r.str("payment_intent"), Charge: r.str("charge"), Reason: r.str("reason"), Metadata: meta, Created: r.now}
	if f.Reason != "" && !slices.Contains([]string{"duplicate", "fraudulent", "requested_by_customer"}, f.Reason) {
		return nil, invalid("", "reason", "Invalid reason: must be one of duplicate, fraudulent, or requested_by_customer")
	}
	if (f.Intent == "") == (f.Charge == "") {
		return nil, invalid("", "payment_intent", "You must pass exactly one of payment_intent and charge.")
	}
	ch, err := r.refundable(f)
	if err != nil {
		return nil, err
	}
	left := ch.Amount - ch.Refunded
	if !r.at("amount").filled {
		amount = left
	}
	switch {
	case ch.Disputed:
		return nil, invalid("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", ch.ID)
	case left == 0:
		return nil, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", ch.ID)
	case amount < 1:
		return nil, invalid("parameter_invalid_integer", "amount", "Invalid positive integer")
	case amount > left:
		return nil, invalid("", "amount", "Refund amount (%d) is greater than unrefunded amount on charge (%d)", amount, left)
	}
	f.Amount, f.Currency, f.Charge, f.Intent = amount, ch.Currency, ch.ID, ch.Intent
	ch.Refunded += amount
	return f.show(), errors.Join(r.put(f), r.put(ch), r.emit("refund.created", f), r.emit("charge.refunded", ch))
}

// refundable returns the captured charge that a refund speaks of.
func (r *request) refundable(f *refund) (*charge, error) {
	id := f.Charge
	if f.Intent != "" {
		var p intent
		if err := r.get("payment_intent", f.Intent, &p); err != nil {
			return nil, err
		}
		if p.Status != "succeeded" {
			return nil, invalid("", "payment_intent", "This PaymentIntent (%s) does not have a successful charge to refund.", p.ID)
		}
		id = p.Charge
	}
	ch := new(charge)
	if err := r.get("charge", id, ch); err != nil {
		return nil, err
	}
	if ch.Status != "succeeded" {
		return nil, invalid("", "charge", "Charge %s has not been captured.", ch.ID)
	}
	return ch, nil
}

func (s *Server) listRefunds(r *request) (any, error) {
	q := Query{Ref: r.str("payment_intent")}
	of := r.str("charge")
	return r.page("refund", "/v1/refunds", q, func(o shower) bool { return of == "" || o.(*refund).Charge == of })
}
