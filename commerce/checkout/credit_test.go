package checkout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// taxed makes a shop charge 19 percent of tax on top of its prices.
func taxed(d *checkout.Deps) {
	d.Tax = order.TaxRules{Mode: order.FixedTax, Home: "DE", Rates: map[string]money.BasisPoints{"DE": 1900}}
}

// german is a paid order of one unit, 20.00 EUR and 3.80 EUR of tax on top.
func (s *shop) german(t *testing.T) checkout.Checkout {
	t.Helper()
	basket := s.basket(1)
	basket.Country = "DE"
	c := must(s.Create(as(s.guest, licensing.Actor{Kind: licensing.Anonymous}), basket))(t)
	s.bank.pay(c.ID)
	if err := s.Fulfil(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	return c
}

// refund makes the bank say what was refunded in all, and looks.
func (s *shop) refund(t *testing.T, id string, refunded int64) {
	t.Helper()
	s.bank.set(id, func(p *payment.Session) { p.Refunded = refunded })
	if err := s.Fulfil(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// notes are an order's credit notes, as number, amount and tax.
func (s *shop) notes(t *testing.T, id string) (out []string) {
	t.Helper()
	for _, c := range must(s.deps.Credits.Credits(t.Context(), id))(t) {
		out = append(out, fmt.Sprintf("%s %d %d", c.Number, c.Amount(), c.Tax))
	}
	return out
}

// TestINV6_OneCreditNoteForEachRefund guarantees that a refund which many apply at the same moment makes one credit note, that two partial
// refunds make two which sum to the receipt with its tax, and that numbers go on without a gap from order to order.
func TestINV6_OneCreditNoteForEachRefund(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e, taxed)
		first, second := s.german(t), s.german(t)
		if n := s.count(t, `credit_note`); n != 0 {
			t.Errorf("%d credit notes before any refund", n)
		}
		for _, refunded := range []int64{1001, 2380} {
			s.bank.set(first.ID, func(p *payment.Session) { p.Refunded = refunded })
			for _, err := range together(16, func() error { return s.Fulfil(context.Background(), first.ID) }) {
				if err != nil {
					t.Error(err)
				}
			}
			s.sound(t)
		}
		s.refund(t, second.ID, 2380)
		s.refund(t, second.ID, 2380)
		if got, want := s.notes(t, first.ID), []string{"C2026-000001 1001 160", "C2026-000002 1379 220"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, want := s.notes(t, second.ID), []string{"C2026-000003 2380 380"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if o := s.load(t, first.ID); o.Receipt != "2026-000001" || o.Tax != 380 || o.Total != 2380 {
			t.Errorf("the receipt was edited: %s over %d with tax %d", o.Receipt, o.Total, o.Tax)
		}
		s.sound(t)
	})
}

// TestINV6_TwoOrdersRefundedAtOnce guarantees that refunds of many orders at the same moment have numbers without a gap.
func TestINV6_TwoOrdersRefundedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		orders := make(chan string, 16)
		for range 8 {
			c := s.order(t, 1)
			s.bank.pay(c.ID)
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			s.bank.set(c.ID, func(p *payment.Session) { p.Refunded = 500 })
			orders <- c.ID
			orders <- c.ID
		}
		for _, err := range together(16, func() error { return s.Fulfil(context.Background(), <-orders) }) {
			if err != nil {
				t.Error(err)
			}
		}
		if n := s.count(t, `credit_note WHERE seq <= 8`); n != 8 {
			t.Errorf("%d credit notes", n)
		}
		s.sound(t)
	})
}

// TestINV6_CreditNotesOfTestAndFreeOrders guarantees that test orders have a series of their own, and that an order that cost nothing, or was
// never paid, makes no credit note whatever the provider says.
func TestINV6_CreditNotesOfTestAndFreeOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t), func(d *checkout.Deps) { d.Gateway.(*bank).env = licensing.Test })
	c := s.order(t, 1)
	s.refund(t, c.ID, 300)
	s.bank.pay(c.ID)
	s.refund(t, c.ID, 300)
	if got, want := s.notes(t, c.ID), []string{"CT2026-000001 300 0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	unpaid := s.order(t, 1)
	s.refund(t, unpaid.ID, 300)
	basket := s.basket(1)
	basket.Lines[0].Plan = s.sell(t, "free", eur(0), s.plan.Grants...).ID
	free := must(s.Create(as(s.guest, licensing.Actor{Kind: licensing.Anonymous}), basket))(t)
	if err := s.Fulfil(t.Context(), free.ID); err != nil {
		t.Fatal(err)
	}
	if n := s.count(t, `credit_note`); n != 1 || s.load(t, free.ID).State != order.Fulfilled {
		t.Errorf("%d credit notes, the free order is %s", n, s.load(t, free.ID).State)
	}
	s.sound(t)
}

// TestW11_FailedRefundTakesItsCreditBack guarantees that a refund that failed is a credit note over a negative amount, of its own number, and
// never a change of the one before.
func TestW11_FailedRefundTakesItsCreditBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e, taxed)
		c := s.german(t)
		for _, refunded := range []int64{1000, 2380, 1000, 2380} {
			s.refund(t, c.ID, refunded)
		}
		if got, want := s.notes(t, c.ID), []string{"C2026-000001 1000 160", "C2026-000002 1380 220", "C2026-000003 -1380 -220", "C2026-000004 1380 220"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		s.sound(t)
	})
}

// TestC16_CreditNoteIsForWhoMaySeeTheOrder guarantees that a credit note opens by the access code, to its customer and to staff, in both forms,
// and to nobody else; that a number of another order opens nothing; and that order and checkout list the notes.
func TestC16_CreditNoteIsForWhoMaySeeTheOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e, taxed)
		mine, other := s.german(t), s.german(t)
		s.refund(t, mine.ID, 1000)
		s.refund(t, other.ID, 2380)
		owner := as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "x", Owner: s.load(t, mine.ID).Owner})
		stranger := as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "y", Owner: "cus_stranger"})
		number := "C2026-000001"
		for name, c := range map[string]struct {
			ctx   context.Context
			r     checkout.CreditNoteRequest
			opens bool
		}{
			"access code":           {s.guest, checkout.CreditNoteRequest{Number: number, Access: mine.Access}, true},
			"owner":                 {owner, checkout.CreditNoteRequest{Number: number}, true},
			"staff":                 {s.staff, checkout.CreditNoteRequest{Number: number}, true},
			"nobody":                {s.guest, checkout.CreditNoteRequest{Number: number}, false},
			"stranger":              {stranger, checkout.CreditNoteRequest{Number: number}, false},
			"another's access code": {s.guest, checkout.CreditNoteRequest{Number: number, Access: other.Access}, false},
			"another's note":        {s.guest, checkout.CreditNoteRequest{Number: "C2026-000002", Access: mine.Access}, false},
			"staff, another's note": {s.staff, checkout.CreditNoteRequest{Number: "C2026-000002"}, false},
			"no number":             {s.guest, checkout.CreditNoteRequest{Access: mine.Access}, false},
			"no such number":        {s.guest, checkout.CreditNoteRequest{Number: "C2026-000009", Access: mine.Access}, false},
			"not a number":          {s.guest, checkout.CreditNoteRequest{Number: "\x00' OR 1=1", Access: mine.Access}, false},
			"number of the receipt": {s.guest, checkout.CreditNoteRequest{Number: "2026-000001", Access: mine.Access}, false},
		} {
			for format, start := range map[string]string{"html": "<!doctype html>", "pdf": "%PDF-", "": "%PDF-"} {
				c.r.ID, c.r.Format = mine.ID, format
				file, err := s.CreditNote(c.ctx, c.r)
				if c.opens && (err != nil || file.Number != number || !strings.HasPrefix(string(file.Content), start)) {
					t.Errorf("%s, %s: %v", name, format, err)
				}
				if !c.opens && (!errors.Is(err, licensing.ErrNotFound) || len(file.Content) > 0) {
					t.Errorf("%s, %s: %v, want not found", name, format, err)
				}
			}
		}
		view := must(s.Get(s.guest, checkout.GetRequest{ID: mine.ID, Access: mine.Access}))(t)
		for name, notes := range map[string][]order.CreditView{"checkout": view.Credits,
			"order of the customer": must(s.orders.Get(owner, order.GetRequest{ID: mine.ID}))(t).CreditNotes,
			"order of staff":        must(s.orders.Get(s.staff, order.GetRequest{ID: mine.ID}))(t).CreditNotes} {
			if len(notes) != 1 || notes[0].Number != number || notes[0].Receipt != "2026-000001" || notes[0].Amount != eur(1000) || notes[0].Tax != eur(160) || notes[0].At.IsZero() {
				t.Errorf("%s lists %+v", name, notes)
			}
		}
	})
}

// TestW11_CreditNoteOfAnotherYear guarantees that a note is of the year in which it was made, not of its receipt's.
func TestW11_CreditNoteOfAnotherYear(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	s.bank.pay(c.ID)
	s.refund(t, c.ID, 100)
	s.Clock.Advance(366 * 24 * time.Hour)
	s.refund(t, c.ID, 200)
	if got, want := s.notes(t, c.ID), []string{"C2026-000001 100 0", "C2027-000001 100 0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.sound(t)
}
