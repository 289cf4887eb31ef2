package checkout_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// touch writes a row as it is, in the transaction in ctx, which holds it from then on.
func (s *shop) touch(table, column, id string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		n, err := s.DB.Exec(ctx, `UPDATE `+table+` SET `+column+` = `+column+` WHERE `+column+` = $1`, id)
		if err == nil && n == 0 {
			err = errors.New("there is no such row")
		}
		return err
	}
}

// F24: an order whose license others renewed is refunded while such a renewal is, which holds its own order and then the license: the first, which
// parks the other, holds both orders before the license.
func TestF24_OrderAndItsRenewalAreRefundedAtOnce(t *testing.T) {
	t.Parallel()
	y := newYearly(t, storetest.Postgres(t), "")
	first := must(y.deps.Orders.List(t.Context(), order.Filter{Owner: "cus_eve"}, licensing.Page{}))(t).Items[0].ID
	renewal := y.paid(t, y.buy(t, y.id, 1)).ID
	y.bank.set(first, func(p *payment.Session) { p.Refunded = 1000 })
	storetest.Cross(t, y.Env, storetest.Crossing{First: y.touch("orders", "id", renewal), Then: y.touch("license", "id", y.id),
		Other: func(ctx context.Context) error { return y.Fulfil(ctx, first) }})
	y.sound(t)
}

// F24: the page that was opened for an order is written down while the order is moved, which holds the order and then the attempt.
func TestF24_PageIsConfirmedWhileItsOrderMoves(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.Postgres(t))
	s.bank.before = func(call string) error {
		if call == "open" {
			return errors.New("unreachable")
		}
		return nil
	}
	eve := licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}
	if _, err := s.Create(as(t.Context(), eve), s.basket(1)); err == nil {
		t.Fatal("a page was opened at a provider that cannot be reached")
	}
	s.bank.before = nil
	var id string
	if err := s.DB.QueryRow(t.Context(), `SELECT id FROM orders`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	storetest.Cross(t, s.Env, storetest.Crossing{First: s.touch("orders", "id", id), Then: s.touch("checkout_session", "order_id", id),
		Other: func(ctx context.Context) error {
			_, err := s.Create(as(ctx, eve), s.basket(1)) // which leads to the same order
			return err
		}})
}

// F24: two orders for the same plans take them in one order, whatever the order of their lines.
func TestF24_OrdersForTheSamePlans(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.Postgres(t))
	other := s.sell(t, "team", eur(3000), catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}})
	low, high := min(s.plan.ID, other.ID), max(s.plan.ID, other.ID)
	held := s.order(t, 1).ID
	slot := func(plan string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.deps.Sessions.TakeSlot(ctx, "cus_eve", plan, held)
			return err
		}
	}
	r := s.basket(1)
	r.Email, r.Lines = "", []checkout.LineRequest{{Plan: high, Quantity: 1}, {Plan: low, Quantity: 1}}
	storetest.Cross(t, s.Env, storetest.Crossing{First: slot(low), Then: slot(high), Other: func(ctx context.Context) error {
		_, err := s.Create(as(ctx, licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}), r)
		if licensing.KindOf(err) == licensing.Conflict || licensing.KindOf(err) == licensing.NotFound { // it found the other's order
			err = nil
		}
		return err
	}})
}
