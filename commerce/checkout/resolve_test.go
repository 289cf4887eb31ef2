package checkout_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestW11_APersonDealsWithAParkedOrder guarantees that an order which waits for a person leaves that state when one says how it was dealt with, once
// however many say so, with a row in the audit trail; that nothing the provider told before parks it again and what is news does; that refunds and
// disputes are applied to it as ever; and that neither money nor grants move by it.
func TestW11_APersonDealsWithAParkedOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		resolve := func(id, reason string) (order.View, error) {
			return s.Resolve(s.staff, checkout.ResolveRequest{ID: id, Reason: reason})
		}
		set := func(id string, change func(*payment.Session), state order.State) order.Order {
			t.Helper()
			s.bank.set(id, change)
			for _, err := range together(4, func() error { return s.Fulfil(context.Background(), id) }) {
				if err != nil {
					t.Fatal(err)
				}
			}
			o := s.load(t, id)
			if o.State != state {
				t.Errorf("%s %q, want %s", o.State, o.Reason, state)
			}
			s.sound(t)
			return o
		}
		settled := func(id string, state order.State) {
			t.Helper()
			money, grants := s.count(t, `ledger_entry`), s.count(t, `order_grant`)
			for _, err := range together(6, func() error { _, err := resolve(id, "dealt with"); return err }) {
				if err != nil {
					t.Error(err)
				}
			}
			_, err := resolve(id, "something else")
			refused(t, err, licensing.Conflict, "order-not-parked")
			if n := s.count(t, `audit WHERE target = $1 AND action = 'order.resolve'`, id); n != 1 || s.count(t, `order_event WHERE order_id = $1 AND kind = 'resolved'`, id) != 1 {
				t.Errorf("%d rows in the audit trail", n)
			}
			if s.count(t, `ledger_entry`) != money || s.count(t, `order_grant`) != grants {
				t.Error("money or grants moved")
			}
			o := set(id, func(*payment.Session) {}, state)
			v := must(s.orders.Get(s.staff, order.GetRequest{ID: id}))(t)
			if o.Reason != "dealt with" || !o.Resolved() || v.ResolvedAt == nil {
				t.Errorf("%s %q, resolved at %v", o.State, o.Reason, v.ResolvedAt)
			}
		}

		stray := s.order(t, 1).ID
		_, err := resolve(stray, "nothing is wrong with it")
		refused(t, err, licensing.Conflict, "order-not-parked")
		_, err = resolve(stray, "")
		refused(t, err, licensing.Invalid, "invalid")
		_, err = resolve("ord_none", "x")
		refused(t, err, licensing.NotFound, "not-found")
		s.bank.pay(stray)
		set(stray, func(p *payment.Session) { p.Subtotal, p.Total = 2500, 2500 }, order.Parked)
		settled(stray, order.Closed)
		set(stray, func(p *payment.Session) { p.Refunded = 2500 }, order.Closed)
		set(stray, func(p *payment.Session) { p.Refunded = 700 }, order.Closed)
		if o := set(stray, func(p *payment.Session) { p.Subtotal, p.Total = 2600, 2600 }, order.Parked); o.Resolved() { // more arrived
			t.Error("what is news is held for dealt with")
		}

		late := s.order(t, 1).ID
		s.bank.pay(late)
		set(late, func(p *payment.Session) { p.Live = !p.Live }, order.Parked)
		settled(late, order.Closed)
		if o := set(late, func(p *payment.Session) { p.Live = !p.Live }, order.Parked); o.Captured != 2000 || o.Resolved() || s.count(t, `order_grant`) != 0 { // it was paid after all
			t.Errorf("captured %d, resolved %t", o.Captured, o.Resolved())
		}

		paid := s.order(t, 1).ID
		s.bank.pay(paid)
		set(paid, func(p *payment.Session) { p.Refunded = 2000 }, order.Refunded)
		set(paid, func(p *payment.Session) { p.Refunded = 700 }, order.Parked)
		set(paid, func(p *payment.Session) { p.Disputed = true }, order.Parked)
		_, err = resolve(paid, "too early")
		refused(t, err, licensing.Conflict, "order-disputed")
		set(paid, func(p *payment.Session) { p.Disputed = false }, order.Parked)
		settled(paid, order.Fulfilled)
		set(paid, func(p *payment.Session) { p.Refunded = 900 }, order.Fulfilled)
		set(paid, func(p *payment.Session) { p.Disputed = true }, order.Fulfilled)
		set(paid, func(p *payment.Session) { p.Disputed = false }, order.Fulfilled)
		set(paid, func(p *payment.Session) { p.Refunded = 2000 }, order.Refunded)
		if o := set(paid, func(p *payment.Session) { p.Refunded = 900 }, order.Parked); o.Resolved() {
			t.Error("what is news is held for dealt with")
		}
		if n := s.count(t, `license WHERE state = 'active'`); n != 0 {
			t.Errorf("%d licenses are active", n)
		}
	})
}
