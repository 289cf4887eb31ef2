package checkout_test

import (
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A customer who goes back from the payment page to say the VAT id, or another country, gets an order that says it: what was frozen without
// is closed, though it costs the same. Without a change the same order comes back.
func TestC08_SameBasketOfAnotherTaxPayer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		eve := as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"})
		last := must(s.Create(eve, s.basket(1)))(t)
		for _, said := range []struct{ country, vat string }{{"DE", ""}, {"DE", "DE123456789"}, {"DE", "DE987654321"}, {"FR", ""}} {
			r := s.basket(1)
			r.Country, r.VATID = said.country, said.vat
			c := must(s.Create(eve, r))(t)
			o := s.load(t, c.ID)
			if c.ID == last.ID || o.Snapshot.VATID != said.vat || o.Snapshot.Tax.Country != said.country || c.URL == "" {
				t.Errorf("%+v: got the order of %q, %q", said, o.Snapshot.Tax.Country, o.Snapshot.VATID)
			}
			if was := s.load(t, last.ID); was.State != order.Closed {
				t.Errorf("%+v: the order before is %s", said, was.State)
			}
			if again := must(s.Create(eve, r))(t); again.ID != c.ID {
				t.Errorf("%+v: asked again, it is another order", said)
			}
			last = c
		}
		s.sound(t)
	})
}

// Tax on top of a price can be charged in every currency that the price can: of the Kuwaiti dinar no third decimal, of the ariary no
// hundredth, and the rest rounded half-up a line.
func TestC04_TaxOnTopCanBeCharged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		price, tax, refund money.Amount
		quantity           int64
	}{
		{price: money.New(1230, "KWD"), quantity: 1, tax: money.New(60, "KWD"), refund: money.New(10, "KWD")}, // 61.5 fils
		{price: money.New(1300, "KWD"), quantity: 1, tax: money.New(70, "KWD"), refund: money.New(20, "KWD")}, // 65
		{price: money.New(700, "MGA"), quantity: 3, tax: money.New(100, "MGA"), refund: money.New(100, "MGA")},
		{price: money.New(999, "JPY"), quantity: 1, tax: money.New(50, "JPY"), refund: money.New(1, "JPY")},
		{price: money.New(999, "EUR"), quantity: 1, tax: money.New(50, "EUR"), refund: money.New(1, "EUR")},
	} {
		s := newShop(t, storetest.SQLite(t), func(d *checkout.Deps) {
			d.Tax = order.TaxRules{Mode: order.FixedTax, Rates: map[string]money.BasisPoints{"KW": 500}}
		})
		plan := s.sell(t, "small", c.price, catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}})
		r := s.basket(c.quantity)
		r.Lines[0].Plan, r.Currency, r.Country = plan.ID, c.price.Currency, "KW"
		made, err := s.Create(s.guest, r)
		if err != nil {
			t.Errorf("%s: %v", c.price, err)
			continue
		}
		if made.Tax != c.tax {
			t.Errorf("tax of %d × %s is %s, want %s", c.quantity, c.price, made.Tax, c.tax)
		}
		s.bank.pay(made.ID)
		s.bank.set(made.ID, func(p *payment.Session) { p.Refunded = c.refund.Minor })
		if err := s.Fulfil(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		if o := s.load(t, made.ID); o.State != order.Fulfilled || o.Refunded != c.refund.Minor {
			t.Errorf("%s: %s, %s", c.price, o.State, o.Reason)
		}
		s.sound(t)
	}
	if _, err := (money.New(1, "KWD")).ShareIn(-1, 10); err == nil {
		t.Error("a negative rate is taken")
	}
	if err := (pricing.SetPriceRequest{Price: money.New(1231, "KWD")}).Validate(); err == nil {
		t.Error("a price that cannot be charged is taken")
	}
}
