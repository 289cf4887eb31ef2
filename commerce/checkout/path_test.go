package checkout_test

import (
	"testing"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestPathFromBasketToGrants guarantees the way of an ordinary order: placed, paid, fulfilled with exactly the grants of each unit,
// a balanced ledger, a receipt and one purchase notice; and that nothing changes when it is fulfilled again.
func TestPathFromBasketToGrants(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 2)
		if c.State != order.Pending || c.URL == "" || c.Access == "" || c.Total != eur(4000) {
			t.Fatalf("placed: %+v", c)
		}
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, `license`); n != 0 {
			t.Fatalf("%d licenses before payment", n)
		}
		s.bank.pay(c.ID)
		for range 3 {
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
		got := must(s.Get(s.guest, checkout.GetRequest{ID: c.ID, Access: c.Access}))(t)
		if got.State != order.Fulfilled || len(got.Grants) != 4 || got.Receipt == nil || got.Receipt.Number != "2026-000001" {
			t.Fatalf("fulfilled: %+v", got)
		}
		if l, k, m := s.count(t, `license`), s.count(t, `api_key`), s.mail.sent("purchase"); l != 2 || k != 2 || m != 1 {
			t.Errorf("%d licenses, %d keys, %d mails, want 2, 2, 1", l, k, m)
		}
		if n := s.count(t, `ledger_entry WHERE account = 'cash:stripe' AND amount = 4000`); n != 1 {
			t.Errorf("cash was posted %d times", n)
		}
		s.sound(t)
	})
}
