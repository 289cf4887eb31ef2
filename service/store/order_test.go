package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// paidOrder stores an order of two units that was paid and says it is fulfilled, with sale and receipt, but without any grant.
func paidOrder(t *testing.T, e storetest.Env) order.Order {
	t.Helper()
	now := e.Clock.Now()
	o := order.Order{ID: e.IDs.New("ord"), Owner: "cus_1", Email: "a@example.com", Env: "live", State: order.Fulfilled, Currency: "EUR", SecretHash: []byte{1}, Access: []byte{1},
		Version: 1, CreatedAt: now, UpdatedAt: now, ExpiresAt: now, CheckedAt: now, PaidAt: now, FulfilledAt: now}
	o.Snapshot.Lines = []order.Line{{ID: e.IDs.New("orl"), N: 1, ProductID: "prod_1", PlanID: "plan_1", PriceID: "prc_1", Unit: 1000, Quantity: 2, Grants: []order.Grant{{Kind: order.KindLicense}}}}
	if err := o.Settle(0); err != nil {
		t.Fatal(err)
	}
	o.Captured = o.Total
	sale, _ := o.Sale(now)
	orders := e.Store.Orders()
	err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
		_, err := orders.GiveReceipt(ctx, o.ID, "2026", now)
		return errors.Join(orders.Add(ctx, o), orders.Post(ctx, sale), err)
	})
	if err == nil {
		t.Fatal("a receipt was given to an order that is not there yet")
	}
	err = e.Store.InTx(t.Context(), func(ctx context.Context) error {
		if err := orders.Add(ctx, o); err != nil {
			return err
		}
		if err := orders.Post(ctx, sale); err != nil {
			return err
		}
		o.Receipt, err = orders.GiveReceipt(ctx, o.ID, "2026", now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestReceiptNumbersHaveNoGap guarantees that numbers count up by one whatever was rolled back between.
func TestReceiptNumbersHaveNoGap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for _, want := range []string{"2026-000001", "2026-000002", "2026-000003"} {
			if got := paidOrder(t, e).Receipt; got != want { // paidOrder rolls one back each time
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// TestLedgerIsAppendOnly guarantees that no row of the ledger, the receipts or the credit notes is ever changed or removed, that a source is posted
// once, and that an unbalanced posting is refused whole.
func TestLedgerIsAppendOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		o := paidOrder(t, e)
		note := order.Credit{Order: o.ID, Receipt: o.Receipt, Version: 2, After: 500, At: e.Clock.Now()}
		give := func() error {
			return e.Store.InTx(t.Context(), func(ctx context.Context) error {
				_, err := e.Store.Credits().GiveCredit(ctx, note, "C2026")
				return err
			})
		}
		if err := give(); err != nil {
			t.Fatal(err)
		}
		if err := give(); !errors.Is(err, order.ErrCredited) {
			t.Errorf("the credit note a second time: %v", err)
		}
		for _, sql := range []string{`UPDATE ledger_entry SET amount = amount + 1`, `DELETE FROM ledger_entry`, `UPDATE receipt SET seq = 9`, `DELETE FROM receipt`,
			`UPDATE credit_note SET tax = 9`, `DELETE FROM credit_note`} {
			if _, err := e.DB.Exec(t.Context(), sql); !errors.Is(err, db.ErrImmutable) {
				t.Errorf("%s: %v", sql, err)
			}
		}
		sale, _ := o.Sale(e.Clock.Now())
		post := func(p order.Posting) error {
			return e.Store.InTx(t.Context(), func(ctx context.Context) error { return e.Store.Orders().Post(ctx, p) })
		}
		if err := post(sale); !errors.Is(err, order.ErrPosted) {
			t.Errorf("the sale a second time: %v", err)
		}
		sale.Source, sale.Legs[0].Amount = "other", money.New(1, "EUR")
		if err := post(sale); !errors.Is(err, order.ErrUnbalanced) {
			t.Errorf("an unbalanced posting: %v", err)
		}
	})
}

// TestCheckerFindsWhatIsPlanted guarantees that each check of orders finds a breach of its own kind, and finds nothing else.
func TestCheckerFindsWhatIsPlanted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		o := paidOrder(t, e)
		find := func(name string, want ...string) {
			t.Helper()
			violations, err := e.Store.OrderViolations(t.Context(), e.Clock.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range violations {
				got = append(got, v.Invariant)
				if v.Object == "" || v.Text == "" {
					t.Errorf("%s: %+v says too little", name, v)
				}
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s: got %v, want %v", name, violations, want)
			}
		}
		exec := func(sql string, args ...any) {
			t.Helper()
			if _, err := e.DB.Exec(t.Context(), sql, args...); err != nil {
				t.Fatal(err)
			}
		}
		find("two units without licenses", "INV1", "INV1")
		exec(`UPDATE orders SET state = 'paid' WHERE id = $1`, o.ID)
		find("paid without grants", "INV2")
		exec(`INSERT INTO kill_switch (name, product, is_off, reason, actor, at, version) VALUES ('licensing', '', $1, 'r', 'a', $2, 1)`, true, e.Clock.Now())
		find("queued while switched off")
		exec(`UPDATE orders SET refunded = 500 WHERE id = $1`, o.ID)
		find("a refund that neither ledger nor credit notes know", "INV6", "CREDIT")
		exec(`UPDATE orders SET refunded = 0 WHERE id = $1`, o.ID)
		exec(`INSERT INTO ledger_entry (source, leg, order_id, account, currency, amount, at) VALUES ('odd', 1, $1, 'revenue:x', 'EUR', 3, $2)`, o.ID, e.Clock.Now())
		find("an unbalanced source", "LEDGER")
		exec(`UPDATE receipt_counter SET last = 7`)
		find("a gap in the receipts", "LEDGER", "RECEIPT")
		credit := func(version, before, after, tax int64, receipt string) {
			t.Helper()
			if err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
				_, err := e.Store.Credits().GiveCredit(ctx, order.Credit{Order: o.ID, Receipt: receipt, Version: version, Before: before, After: after, Tax: tax, At: e.Clock.Now()}, "C2026")
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		credit(2, 0, 500, 0, o.Receipt)
		find("a credit note over nothing that was refunded", "LEDGER", "RECEIPT", "CREDIT")
		credit(3, 500, 0, 0, o.Receipt)
		find("a credit note taken back", "LEDGER", "RECEIPT")
		credit(4, 0, 500, 1, o.Receipt)
		credit(5, 500, 0, 0, o.Receipt)
		find("more tax credited than was paid", "LEDGER", "LEDGER", "RECEIPT", "CREDIT")
		credit(6, 0, 500, 0, o.Receipt)
		credit(7, 500, 0, -1, o.Receipt)
		find("and taken back", "LEDGER", "RECEIPT")
		exec(`UPDATE credit_note_counter SET last = 7`)
		find("a gap in the credit notes", "LEDGER", "RECEIPT", "CREDIT")
		exec(`UPDATE credit_note_counter SET last = 6`)
		other := paidOrder(t, e)
		exec(`UPDATE receipt_counter SET last = 2`)
		exec(`UPDATE orders SET state = 'paid' WHERE id = $1`, other.ID)
		credit(8, 0, 500, 0, other.Receipt)
		credit(9, 500, 0, 0, o.Receipt)
		find("a credit note that corrects another order's receipt", "LEDGER", "RECEIPT", "CREDIT")
		if _, err := e.DB.Exec(t.Context(), `UPDATE orders SET refunded = captured + 1 WHERE id = $1`, o.ID); !errors.Is(err, db.ErrCheck) {
			t.Errorf("more refunded than captured: %v", err)
		}
	})
}
