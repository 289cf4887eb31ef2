package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestCheckerFindsPlantedMoney guarantees that the checker finds goods without money, money of another currency, tax that is not the order's, and
// receipts and credit notes that are nobody's, each as a breach of its own kind, and nothing in orders that are as they should be.
func TestCheckerFindsPlantedMoney(t *testing.T) {
	t.Parallel()
	eur := func(minor int64) money.Amount { return money.New(minor, "EUR") }
	type plant struct {
		t      *testing.T
		e      storetest.Env
		exec   func(sql string, args ...any)
		in     func(func(ctx context.Context) error)
		post   func(source, order string, legs ...order.Leg)
		unpaid func(paid bool) string
	}
	for name, c := range map[string]struct {
		do   func(p plant, o order.Order)
		want string
	}{
		"nothing": {func(plant, order.Order) {}, ""},
		"paid, and no money came": {func(p plant, _ order.Order) {
			id := p.unpaid(true)
			p.in(func(ctx context.Context) error {
				_, err := p.e.Store.Orders().GiveReceipt(ctx, id, "2026", p.e.Clock.Now())
				return err
			})
		}, "INV6"},
		"money without a payment": {func(p plant, _ order.Order) {
			id := p.unpaid(false)
			p.exec(`UPDATE orders SET captured = 5 WHERE id = $1`, id)
			p.post("odd", id, order.Leg{Account: order.Cash, Amount: eur(5)}, order.Leg{Account: "revenue:x", Amount: eur(-5)})
		}, "INV6"},
		"a posting in another currency": {func(p plant, o order.Order) {
			p.post("odd", o.ID, order.Leg{Account: "revenue:x", Amount: money.New(5, "USD")}, order.Leg{Account: "revenue:y", Amount: money.New(-5, "USD")})
		}, "LEDGER"},
		"tax that the order has not": {func(p plant, o order.Order) {
			p.post("odd", o.ID, order.Leg{Account: "revenue:x", Amount: eur(5)}, order.Leg{Account: "tax:DE", Amount: eur(-5)})
		}, "LEDGER"},
		"tax that the ledger has not": {func(p plant, o order.Order) { p.exec(`UPDATE orders SET tax = 5 WHERE id = $1`, o.ID) }, "LEDGER"},
		"a receipt of an unpaid order": {func(p plant, _ order.Order) {
			id := p.unpaid(false)
			p.in(func(ctx context.Context) error {
				_, err := p.e.Store.Orders().GiveReceipt(ctx, id, "2026", p.e.Clock.Now())
				return err
			})
		}, "RECEIPT"},
		"an order with another receipt's number": {func(p plant, o order.Order) { p.exec(`UPDATE orders SET receipt = '2026-000009' WHERE id = $1`, o.ID) }, "RECEIPT RECEIPT"},
		"receipts that nobody counts":            {func(p plant, _ order.Order) { p.exec(`DELETE FROM receipt_counter`) }, "RECEIPT"},
		"credit notes that nobody counts": {func(p plant, o order.Order) {
			p.in(func(ctx context.Context) error {
				for i, c := range []order.Credit{{After: 5}, {Before: 5}} {
					c.Order, c.Receipt, c.Version, c.At = o.ID, o.Receipt, int64(i+2), p.e.Clock.Now()
					if _, err := p.e.Store.Credits().GiveCredit(ctx, c, "C2026"); err != nil {
						return err
					}
				}
				return nil
			})
			p.exec(`DELETE FROM credit_note_counter`)
		}, "CREDIT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				p := plant{t: t, e: e}
				p.exec = func(sql string, args ...any) {
					t.Helper()
					if _, err := e.DB.Exec(t.Context(), sql, args...); err != nil {
						t.Fatal(err)
					}
				}
				p.in = func(do func(ctx context.Context) error) {
					t.Helper()
					if err := e.Store.InTx(t.Context(), do); err != nil {
						t.Fatal(err)
					}
				}
				p.post = func(source, id string, legs ...order.Leg) {
					t.Helper()
					p.in(func(ctx context.Context) error {
						return e.Store.Orders().Post(ctx, order.Posting{Source: source, Order: id, At: e.Clock.Now(), Legs: legs})
					})
				}
				p.unpaid = func(paid bool) string {
					now := e.Clock.Now()
					o := order.Order{ID: e.IDs.New("ord"), Owner: "cus_1", Email: "a@example.com", Env: "live", State: order.Pending, Currency: "EUR", SecretHash: []byte{1}, Access: []byte{1},
						Version: 1, Subtotal: 5, Total: 5, CreatedAt: now, UpdatedAt: now, ExpiresAt: now, CheckedAt: now}
					if paid {
						o.State, o.PaidAt = order.Paid, now
					}
					p.in(func(ctx context.Context) error { return e.Store.Orders().Add(ctx, o) })
					return o.ID
				}
				p.exec(`INSERT INTO kill_switch (name, product, is_off, reason, actor, at, version) VALUES ('licensing', '', $1, 'r', 'a', $2, 1)`, true, e.Clock.Now())
				o := paidOrder(t, e)
				p.exec(`UPDATE orders SET state = 'paid' WHERE id = $1`, o.ID)
				c.do(p, o)
				violations, err := e.Store.OrderViolations(t.Context(), e.Clock.Now().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, v := range violations {
					got = append(got, v.Invariant)
					if v.Object == "" || v.Text == "" {
						t.Errorf("%+v says too little", v)
					}
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("got %v, want %v", violations, c.want)
				}
			})
		})
	}
}
