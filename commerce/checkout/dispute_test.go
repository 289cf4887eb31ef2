package checkout_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What an order of 20.00 EUR, its license and its key are after each thing that the provider tells of its payment, in whatever order it is heard of,
// and where its money is. A dispute suspends, its good end reinstates, a lost one revokes for good and is no credit; what is decided anew
// after that is for a person.
func TestW21_StatesOfDisputesAndRefunds(t *testing.T) {
	t.Parallel()
	type told struct {
		refunded       int64
		disputed, lost bool
	}
	type is struct {
		state           order.State
		active, revoked int // of a license and a key
		cash, held      int64
		notes           int
	}
	open, lost := told{disputed: true}, told{disputed: true, lost: true}
	fine, held, gone := is{order.Fulfilled, 2, 0, 2000, 0, 0}, is{order.Fulfilled, 0, 0, 0, 2000, 0}, is{order.Refunded, 0, 2, 0, 2000, 0}
	for name, c := range map[string]struct {
		told []told
		is   []is
	}{
		"won":                            {[]told{{}, open, {}}, []is{fine, held, fine}},
		"lost":                           {[]told{{}, open, lost, lost}, []is{fine, held, gone, gone}},
		"lost, heard of at the end":      {[]told{{}, lost}, []is{fine, gone}},
		"lost before anything was given": {[]told{lost}, []is{{order.Refunded, 0, 0, 0, 2000, 0}}},
		"disputed, then lost, before anything was given": {[]told{open, lost}, []is{{order.Paid, 0, 0, 0, 2000, 0}, {order.Refunded, 0, 0, 0, 2000, 0}}},
		"twice, won and lost":                            {[]told{{}, open, {}, open, lost}, []is{fine, held, fine, held, gone}},
		"lost, and decided anew":                         {[]told{{}, lost, {}, {}}, []is{fine, gone, {order.Parked, 0, 2, 2000, 0, 0}, {order.Parked, 0, 2, 2000, 0, 0}}},
		"lost, decided anew and refunded":                {[]told{{}, lost, {}, {refunded: 2000}}, []is{fine, gone, {order.Parked, 0, 2, 2000, 0, 0}, {order.Refunded, 0, 2, 0, 0, 1}}},
		"a part refunded, the rest lost":                 {[]told{{refunded: 500}, {500, true, false}, {500, true, true}}, []is{{order.Fulfilled, 2, 0, 1500, 0, 1}, {order.Fulfilled, 0, 0, 0, 1500, 1}, {order.Refunded, 0, 2, 0, 1500, 1}}},
		"refunded in parts":                              {[]told{{refunded: 1}, {refunded: 1999}, {refunded: 2000}}, []is{{order.Fulfilled, 2, 0, 1999, 0, 1}, {order.Fulfilled, 2, 0, 1, 0, 2}, {order.Refunded, 0, 2, 0, 0, 3}}},
		"a dispute that a refund ended":                  {[]told{{}, open, {refunded: 2000}}, []is{fine, held, {order.Refunded, 0, 2, 0, 0, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				s := newShop(t, e)
				id := s.order(t, 1).ID
				s.bank.pay(id)
				for i, told := range c.told {
					s.bank.set(id, func(p *payment.Session) { p.Refunded, p.Disputed, p.Lost = told.refunded, told.disputed, told.lost })
					for _, err := range together(4, func() error { return s.Fulfil(context.Background(), id) }) {
						if err != nil {
							t.Fatal(err)
						}
					}
					got := is{state: s.load(t, id).State, notes: s.count(t, `credit_note`),
						active:  s.count(t, `license WHERE state = 'active'`) + s.count(t, `api_key WHERE disabled_at IS NULL AND held_at IS NULL AND disputed_at IS NULL AND revoked_at IS NULL`),
						revoked: s.count(t, `license WHERE state = 'revoked'`) + s.count(t, `api_key WHERE revoked_at IS NOT NULL`)}
					for _, b := range must(s.Store.Balances(t.Context()))(t) {
						switch b.Account {
						case order.Cash:
							got.cash = b.Amount.Minor
						case order.Disputed:
							got.held = b.Amount.Minor
						}
					}
					if got != c.is[i] {
						t.Errorf("step %d, %+v: got %+v, want %+v", i, told, got, c.is[i])
					}
					s.sound(t)
				}
			})
		})
	}
}

// A dispute that was lost takes the renewal that it paid for back for good, and leaves the license and what else renewed it.
func TestW21_LostDisputeOfARenewal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, license.FromNowIfExpired)
		one, two := y.buy(t, y.id, 1), y.buy(t, y.id, 2)
		y.paid(t, one)
		y.paid(t, two)
		y.set(t, one, func(p *payment.Session) { p.Disputed = true })
		y.ends(t, "disputed", 3*month)
		c := y.set(t, one, func(p *payment.Session) { p.Lost = true })
		if l := y.ends(t, "lost", 3*month); l.State != "active" || c.State != order.Refunded || c.Grants[0].State != checkout.Revoked {
			t.Errorf("%s; the order is %s, %+v", l.State, c.State, c.Grants)
		}
		if n := y.count(t, `license_renewal WHERE undone_at IS NOT NULL`); n != 1 {
			t.Errorf("%d renewals are taken back", n)
		}
		if n := y.count(t, `audit WHERE action = 'order.refunded' AND target = $1`, one); n != 1 {
			t.Errorf("%d times in the trail", n)
		}
		if v := must(y.orders.Get(y.as(t.Context(), "cus_eve"), order.GetRequest{ID: one}))(t); v.Disputed != eur(1000) || v.Refunded != eur(0) || v.Reason != "the dispute of the payment was lost" {
			t.Errorf("%+v", v)
		}
	})
}

// The checker finds what is good though its payment is disputed, and what is held back though it is not, of licenses, keys and renewals.
func TestINV1_CheckerFindsWhatADisputeMissed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, license.FromNowIfExpired)
		both, renewal := y.order(t, 1).ID, y.buy(t, y.id, 1)
		y.bank.pay(both)
		see := func(change func(*payment.Session)) {
			t.Helper()
			for _, id := range []string{both, renewal} {
				y.bank.set(id, change)
				if err := y.Fulfil(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			y.sound(t)
		}
		see(func(*payment.Session) {})
		wrong := func(what, sql, undo string, want int) {
			t.Helper()
			now := y.Clock.Now()
			for _, s := range []string{sql, undo} {
				if _, err := y.DB.Exec(t.Context(), s, now, map[bool]string{true: renewal, false: both}[strings.Contains(s, "license_renewal")]); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
				if s == undo {
					y.sound(t)
					return
				}
				found := must(y.Store.OrderViolations(t.Context(), now))(t)
				for _, v := range found {
					if v.Invariant != "INV1" {
						t.Errorf("%s: %+v", what, v)
					}
				}
				if len(found) != want {
					t.Errorf("%s: found %+v, want %d", what, found, want)
				}
			}
		}
		const (
			given    = ` WHERE id IN (SELECT object_id FROM order_grant WHERE order_id = $2)`
			held     = `UPDATE license SET state = 'suspended', disputed_at = $1` + given
			good     = `UPDATE license SET state = 'active', disputed_at = CASE WHEN state = 'never' THEN CAST($1 AS timestamptz) END` + given
			heldKey  = `UPDATE api_key SET disputed_at = $1` + given
			goodKey  = `UPDATE api_key SET disputed_at = CASE WHEN name = 'never' THEN CAST($1 AS timestamptz) END` + given
			renewed  = ` WHERE source_id IN (SELECT source FROM order_renewal WHERE order_id = $2)`
			taken    = `UPDATE license_renewal SET undone_at = $1` + renewed
			restored = `UPDATE license_renewal SET undone_at = CASE WHEN source_kind = 'never' THEN CAST($1 AS timestamptz) END` + renewed
		)
		wrong("a license is held back", held, good, 1)
		wrong("a key is held back", heldKey, goodKey, 1)
		wrong("a renewal is taken back", taken, restored, 2)
		see(func(p *payment.Session) { p.Disputed = true })
		wrong("a license is good", good, held, 1)
		wrong("a key is good", goodKey, heldKey, 1)
		wrong("a renewal counts", restored, taken, 2)
	})
}
