package checkout_test

import (
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestLargestOrderIsGivenWhole guarantees that an order of as many grants as there may be is given whole, and one of more refused. The
// suite's check on how long a transaction may hold SQLite's writer runs on it too.
func TestLargestOrderIsGivenWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, order.MaxQuantity) // a license and a key for each unit
		s.bank.pay(c.ID)
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, `order_grant`); n != order.MaxGrants {
			t.Errorf("%d grants, want %d", n, order.MaxGrants)
		}
		s.sound(t)
		more := s.sell(t, "more", eur(1), catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}}, catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}},
			catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}})
		b := s.basket(order.MaxQuantity)
		b.Lines[0].Plan = more.ID
		_, err := s.Create(s.guest, b)
		refused(t, err, licensing.Invalid, "too-many-grants")
	})
}
