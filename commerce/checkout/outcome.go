package checkout

import (
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
)

// change is what happens to grants that were given.
type change string

const (
	keep      change = ""
	suspend   change = "suspend"
	reinstate change = "reinstate"
	revoke    change = "revoke"
)

// outcome is what follows for an order from what the provider says. It is computed from values alone, outside the transaction
// that makes it true.
type outcome struct {
	order    order.Order // as it is to be, without the new version
	changed  bool
	postings []order.Posting
	credit   *order.Credit // what was refunded has changed: a credit note is due
	paid     bool          // the money has just arrived: a receipt is due
	grant    bool          // everything is there: the grants are due
	given    change        // what happens to the grants given before
	over     bool          // no page is open any more
	lost     bool          // a dispute has just been lost
	notes    []note
}

type note struct{ kind, detail string }

func (w *outcome) move(to order.State, reason, kind string) {
	if w.order.State == to && w.order.Reason == reason {
		return
	}
	w.order.State, w.order.Reason, w.changed = to, reason, true
	w.notes = append(w.notes, note{kind, reason})
}

// park hands the order to a person, whatever one said of it before.
func (w *outcome) park(reason string) {
	w.order.ResolvedAt = time.Time{}
	w.move(order.Parked, reason, "parked")
}

// judge decides what an order becomes when the provider's truth is page.
func judge(o order.Order, page payment.Session, now time.Time) (outcome, error) {
	w := outcome{order: o}
	w.adopt(page)
	switch page.Status {
	case payment.SessionOpen:
		return w, nil
	case payment.SessionExpired:
		if o.State == order.Pending || o.State == order.AwaitingFunds {
			w.move(order.Closed, "the payment page expired", "closed")
			w.over = true
		}
		return w, nil
	case payment.SessionComplete:
	default:
		return w, fmt.Errorf("order %s: payment page %s has the unknown status %q", o.ID, page.ID, page.Status)
	}
	if reason := differs(o, page); reason != "" && o.PaidAt.IsZero() {
		w.over = true
		switch w.stray(page, now); {
		case o.Resolved() && w.order.Stray.Received == o.Stray.Received: // a person dealt with it; what goes back is written down
		case w.order.Stray.Gone():
			w.move(order.Closed, "what was paid is not what was ordered, and all of it went back", "closed")
		default:
			w.park(reason)
		}
		return w, nil
	}
	w.over = o.State == order.Pending
	switch {
	case page.Payment == payment.Unpaid && (!o.PaidAt.IsZero() || o.Resolved()):
		return w, nil // the provider's older truth; the money was here
	case page.Payment == payment.Unpaid && page.Failed:
		w.move(order.Closed, "the payment failed", "closed")
		return w, nil
	case page.Payment == payment.Unpaid:
		w.move(order.AwaitingFunds, "", "awaiting_funds")
		return w, nil
	case page.Payment == payment.Paid, page.Payment == payment.NoPaymentNeed:
		return w, w.settle(page, now)
	}
	return w, fmt.Errorf("order %s: payment page %s has the unknown payment status %q", o.ID, page.ID, page.Payment)
}

// stray notes money that is not what was ordered: what arrived, and what of it went back, by refunds or a lost dispute. What was paid in another mode is
// no money, and what was paid for another order is that one's.
func (w *outcome) stray(page payment.Session, now time.Time) {
	o := &w.order
	if page.Payment != payment.Paid || page.Order != o.ID || page.Live != (o.Env == licensing.Live) || page.Total <= 0 || o.Stray.Received != 0 && o.Stray.Currency != page.Currency {
		return
	}
	was, is := o.Stray, order.Stray{Currency: page.Currency, Received: page.Total, Back: min(max(page.Refunded, 0), page.Total)}
	if page.Lost {
		is.Back = is.Received
	}
	if is == was {
		return
	}
	if is.Received != was.Received {
		w.notes = append(w.notes, note{"stray", money.New(is.Received, is.Currency).String()})
	}
	if d := is.Back - was.Back; d != 0 {
		kind := "refund"
		if d < 0 {
			kind = "refund_failed"
		}
		w.notes = append(w.notes, note{kind, money.New(d, is.Currency).String()})
	}
	if d := is.Left() - was.Left(); d != 0 {
		w.postings = append(w.postings, o.StrayPosting(d, is.Currency, now))
	}
	o.Stray, w.changed = is, true
}

// adopt takes over the provider's ids.
func (w *outcome) adopt(page payment.Session) {
	for _, id := range []struct {
		to   *string
		from string
	}{{&w.order.Session, page.ID}, {&w.order.Intent, page.Intent}, {&w.order.Charge, page.Charge}} {
		if id.from != "" && *id.to != id.from {
			*id.to, w.changed = id.from, true
		}
	}
}

// settle applies money that is there: the sale, what was refunded of it, and what is disputed.
func (w *outcome) settle(page payment.Session, now time.Time) error {
	o := &w.order
	revoked := o.State == order.Refunded || o.State == order.Parked && !o.PaidAt.IsZero()
	late := o.Resolved() && o.PaidAt.IsZero()
	taken := o.Disputed > 0
	if o.PaidAt.IsZero() {
		o.PaidAt, o.Captured, w.paid = now, o.Total, true
		if left := o.Stray.Left(); left != 0 { // it is what was ordered after all
			w.postings = append(w.postings, o.StrayPosting(-left, o.Stray.Currency, now))
		}
		o.Stray = order.Stray{Currency: o.Stray.Currency}
		w.move(order.Paid, "", "paid")
		if p, ok := o.Sale(now); ok {
			w.postings = append(w.postings, p)
		}
	}
	if err := w.takeBack(page, now); err != nil {
		return err
	}
	switch {
	case o.Captured > 0 && o.Refunded == o.Captured:
		if o.State != order.Refunded {
			w.given = revoke
		}
		w.move(order.Refunded, "the whole payment was refunded", "refunded")
	case page.Lost && o.Disputed > 0:
		if o.State != order.Refunded {
			w.given, w.lost = revoke, true
		}
		w.move(order.Refunded, "the dispute of the payment was lost", "dispute_lost")
	case late:
		w.park("what was ordered was paid after a person had dealt with the order")
	case revoked && o.State == order.Parked: // a person looks into it
	case revoked && taken && o.Disputed == 0:
		w.park("a lost dispute was decided anew after what was bought had been revoked")
	case revoked:
		w.park("a refund failed after what was bought had been revoked")
	case o.Disputed > 0 && o.State != order.Fulfilled:
		w.move(order.Paid, "held back: the payment is disputed", "held")
	case o.State == order.Fulfilled:
	default:
		w.grant = true
	}
	return nil
}

// takeBack applies refunds and disputes. Money moves between the accounts by what changed since last time; a reinstatement follows
// only the end of a dispute. What a lost dispute took stays disputed: it never comes back to the cash.
func (w *outcome) takeBack(page payment.Session, now time.Time) error {
	o := &w.order
	refunded := min(max(page.Refunded, 0), o.Captured)
	disputed := int64(0)
	if page.Disputed {
		disputed = o.Captured - refunded
	}
	if d := disputed - o.Disputed; d != 0 {
		w.postings = append(w.postings, o.Dispute(d, now))
		switch {
		case o.Disputed == 0:
			w.given = suspend
			w.notes = append(w.notes, note{"disputed", o.Amount(disputed).String()})
		case disputed == 0:
			w.given = reinstate
			w.notes = append(w.notes, note{"dispute_ended", ""})
		}
		o.Disputed, w.changed = disputed, true
	}
	if refunded != o.Refunded {
		p, err := o.Refund(o.Refunded, refunded, now)
		if err != nil {
			return err
		}
		w.postings = append(w.postings, p)
		c, err := o.Credit(o.Refunded, refunded, now)
		if err != nil {
			return err
		}
		w.credit = &c
		kind := "refund"
		if refunded < o.Refunded {
			kind = "refund_failed"
		}
		w.notes = append(w.notes, note{kind, o.Amount(refunded - o.Refunded).String()})
		o.Refunded, w.changed = refunded, true
	}
	return nil
}

// differs compares a completed page with the frozen order and says what is not the same, "" when everything is.
func differs(o order.Order, page payment.Session) string {
	want := pageLines(o)
	subtotal := int64(0)
	for _, l := range want {
		subtotal += l.Unit.Minor * l.Quantity // bounded by the order's own total
	}
	live := o.Env == licensing.Live
	switch {
	case page.Order != o.ID:
		return "the payment page is of another order"
	case page.Live != live:
		return fmt.Sprintf("the payment's mode differs from the order's environment %s", o.Env)
	case page.Currency != o.Currency:
		return fmt.Sprintf("the currency is %s, ordered was %s", page.Currency, o.Currency)
	case page.Subtotal != subtotal:
		return fmt.Sprintf("the subtotal is %d, ordered was %d", page.Subtotal, subtotal)
	case page.Discount != o.Discount:
		return fmt.Sprintf("the discount is %d, ordered was %d", page.Discount, o.Discount)
	case page.Tax != 0 || page.Total != o.Total:
		return fmt.Sprintf("the total is %d with tax %d, ordered was %d", page.Total, page.Tax, o.Total)
	case page.Payment == payment.NoPaymentNeed && o.Total != 0:
		return "no payment was required for an order that costs something"
	case len(page.Lines) != len(want):
		return fmt.Sprintf("there are %d lines, ordered were %d", len(page.Lines), len(want))
	}
	return linesDiffer(page.Lines, want)
}

// linesDiffer compares lines in whatever order the provider returns them.
func linesDiffer(got, want []payment.Line) string {
	left := append([]payment.Line(nil), got...)
	for i, w := range want {
		found := false
		for j, g := range left {
			if g.Unit == w.Unit && g.Quantity == w.Quantity && (g.Name == "" || g.Name == w.Name) {
				left = append(left[:j], left[j+1:]...)
				found = true
				break
			}
		}
		if !found {
			return fmt.Sprintf("line %d, %d × %s, is not on the payment page", i+1, w.Quantity, w.Unit)
		}
	}
	return ""
}
