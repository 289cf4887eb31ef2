package checkout_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestINV6_MoneyThatIsNotWhatWasOrdered guarantees that what arrived for an order and is not what was ordered is accounted for, in its own currency and apart
// from what was sold, with each part that goes back; that the order waits for a person until all of it did and is closed then, and waits again should
// that fail; that all of it happens once, however many look at it; and that what was paid in another mode or for another order is no money of it.
func TestINV6_MoneyThatIsNotWhatWasOrdered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		look := func(what, id string, state order.State, received, back int64, c money.Currency) {
			t.Helper()
			for _, err := range together(4, func() error { return s.Fulfil(context.Background(), id) }) {
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			o := s.load(t, id)
			if o.State != state || o.Stray.Received != received || o.Stray.Back != back || o.Stray.Currency != c || o.Captured != 0 || o.Refunded != 0 {
				t.Errorf("%s: %s, %+v, captured %d, refunded %d", what, o.State, o.Stray, o.Captured, o.Refunded)
			}
			v := must(s.orders.Get(s.staff, order.GetRequest{ID: id}))(t)
			if received == 0 && (v.Stray != nil || v.StrayBack != nil) || received != 0 && (v.Stray == nil || v.Stray.Minor != received || v.Stray.Currency != c || v.StrayBack.Minor != back) {
				t.Errorf("%s: its page shows %v and %v", what, v.Stray, v.StrayBack)
			}
			var held, cash int64
			if err := s.DB.QueryRow(t.Context(), `SELECT COALESCE(SUM(CASE WHEN account = 'stray:stripe' THEN amount ELSE 0 END), 0), COALESCE(SUM(CASE WHEN account LIKE 'stray:%' THEN 0 ELSE abs(amount) END), 0)
				FROM ledger_entry WHERE order_id = $1`, id).Scan(&held, &cash); err != nil || held != received-back || cash != 0 {
				t.Errorf("%s: the ledger has %d, and %d of what was sold (%v)", what, held, cash, err)
			}
			s.sound(t)
		}
		for name, c := range map[string]struct {
			forge func(*payment.Session)
			total int64
			in    money.Currency
		}{
			"too much":         {func(p *payment.Session) { p.Subtotal, p.Total = 2500, 2500 }, 2500, "EUR"},
			"another currency": {func(p *payment.Session) { p.Currency = "JPY" }, 2000, "JPY"},
		} {
			id := s.order(t, 1).ID
			s.bank.pay(id)
			s.bank.set(id, func(p *payment.Session) { c.forge(p); p.Payment = payment.Unpaid })
			look(name+", not there yet", id, order.Parked, 0, 0, "")
			s.bank.set(id, func(p *payment.Session) { p.Payment = payment.Paid })
			look(name, id, order.Parked, c.total, 0, c.in)
			s.bank.set(id, func(p *payment.Session) { p.Refunded = 700 })
			look(name+", a part went back", id, order.Parked, c.total, 700, c.in)
			s.bank.set(id, func(p *payment.Session) { p.Refunded = c.total })
			look(name+", all went back", id, order.Closed, c.total, c.total, c.in)
			s.bank.set(id, func(p *payment.Session) { p.Refunded = 700 })
			look(name+", which failed", id, order.Parked, c.total, 700, c.in)
			s.bank.set(id, func(p *payment.Session) { p.Disputed, p.Lost = true, true })
			look(name+", a dispute took the rest", id, order.Closed, c.total, c.total, c.in)
			if n := s.count(t, `order_event WHERE order_id = $1 AND kind IN ('stray', 'refund', 'refund_failed')`, id); n != 5 {
				t.Errorf("%s: %d steps in its timeline", name, n)
			}
		}
		for name, forge := range map[string]func(*payment.Session){
			"another mode":  func(p *payment.Session) { p.Live = false },
			"another order": func(p *payment.Session) { p.Order = "ord_other" },
		} {
			id := s.order(t, 1).ID
			s.bank.pay(id)
			s.bank.set(id, forge)
			look(name, id, order.Parked, 0, 0, "")
		}
		if n := s.count(t, `license`) + s.count(t, `receipt`) + s.count(t, `credit_note`); n != 0 {
			t.Errorf("%d objects were made", n)
		}
		id := s.order(t, 1).ID
		s.bank.pay(id)
		s.bank.set(id, func(p *payment.Session) { p.Discount = 100 })
		look("a discount too much", id, order.Parked, 2000, 0, "EUR")
		if _, err := s.DB.Exec(t.Context(), `UPDATE orders SET stray_back = 1 WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Store.OrderViolations(t.Context(), s.Clock.Now()); err != nil || len(found) != 1 || found[0].Invariant != "INV6" || found[0].Object != id {
			t.Errorf("an order that is not what the ledger says: %v, %v", found, err)
		}
		if _, err := s.DB.Exec(t.Context(), `UPDATE orders SET stray_back = 0 WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		s.bank.set(id, func(p *payment.Session) { p.Discount = 0 })
		if err := s.Fulfil(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if o := s.load(t, id); o.State != order.Fulfilled || o.Stray.Received != 0 || o.Captured != 2000 {
			t.Errorf("it is what was ordered after all: %s, %+v, captured %d", o.State, o.Stray, o.Captured)
		}
		s.sound(t)
		if err := store.MigrateDown(t.Context(), s.DB, 65); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context(), s.DB); err != nil {
			t.Fatal(err)
		}
	})
}
