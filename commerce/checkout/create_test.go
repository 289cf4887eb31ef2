package checkout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestC02_QuantitiesOutOfBoundsRefused guarantees that only whole quantities from 1 to 100 make an order. What is not a whole number
// never gets past the decoder, which TestC01 and TestC02 over HTTP show.
func TestC02_QuantitiesOutOfBoundsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	for _, n := range []int64{-1, 0, 101, 1e9, -1 << 63, 1<<63 - 1} {
		_, err := s.Create(s.guest, s.basket(n))
		refused(t, err, licensing.Invalid, "invalid-request")
	}
	if n := s.count(t, `orders`); n != 0 {
		t.Errorf("%d orders were made", n)
	}
}

// TestC03_ChangedOrArchivedPriceConflicts guarantees that a basket is refused when a price is no longer the one the buyer saw, when the
// plan is not sold in the basket's currency, and when plan or product left the shelf; and that nothing is charged.
func TestC03_ChangedOrArchivedPriceConflicts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		seen := must(s.catalog.Show(s.guest, catalog.ShowRequest{Slug: "editor"}))(t).Plans[0].Prices
		basket := s.basket(1)
		basket.Lines[0].Price = seen[1].ID // the price in USD, in a basket in EUR
		_, err := s.Create(s.guest, basket)
		refused(t, err, licensing.Conflict, "price-changed")

		basket.Lines[0].Price = seen[0].ID
		s.order(t, 1)
		p := must(s.pricing.SetPrice(s.staff, pricing.SetPriceRequest{Plan: s.plan.ID, Price: eur(3000)}))(t)
		other := as(t.Context(), licensing.Actor{Kind: licensing.Staff, ID: "cus_other", Role: licensing.RoleFinance})
		must(s.pricing.ApprovePrice(other, pricing.PriceRequest{ID: p.ID}))(t)
		_, err = s.Create(s.guest, basket)
		refused(t, err, licensing.Conflict, "price-changed")

		pounds := s.plan
		basket = s.basket(1)
		basket.Currency = "GBP"
		_, err = s.Create(s.guest, basket)
		refused(t, err, licensing.Conflict, "no-price")

		must(s.pricing.ArchivePrice(other, pricing.PriceRequest{ID: p.ID}))(t)
		_, err = s.Create(s.guest, s.basket(1))
		refused(t, err, licensing.Conflict, "no-price")

		must(s.catalog.ArchivePlan(s.staff, catalog.PlanRequest{ID: pounds.ID}))(t)
		_, err = s.Create(s.guest, s.basket(1))
		refused(t, err, licensing.Conflict, "not-for-sale")
		if n := s.bank.opened(); n != 1 {
			t.Errorf("%d payment pages were opened, want the one of the good basket", n)
		}
	})
}

// TestC08_SameKeySameSession guarantees that a checkout sent twice with one Idempotency-Key makes one order and one payment page, that
// the replay answers with the same ones and the same access code, and that a lost reply of the provider changes none of it.
func TestC08_SameKeySameSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		lost := true
		s.bank.after = func(call string) error {
			if call == "open" && lost {
				lost = false
				return payment.ErrUnknown
			}
			return nil
		}
		call := func() *licensing.Call {
			return &licensing.Call{Operation: "checkout.create", Mutating: true, Actor: licensing.Actor{Kind: licensing.Anonymous}, IdempotencyKey: "k1", RequestHash: []byte("h")}
		}
		first := must(s.Create(licensing.WithCall(t.Context(), call()), s.basket(1)))(t)
		_, err := s.Create(licensing.WithCall(t.Context(), call()), s.basket(1))
		if !errors.Is(err, licensing.ErrIdempotent) {
			t.Fatalf("second: %v, want ErrIdempotent", err)
		}
		_, id, secret, found, err := s.deps.Tx.(interface {
			licensing.Transactor
			replays
		}).Find(t.Context(), "anonymous", "checkout.create", "k1")
		if err != nil || !found {
			t.Fatal(found, err)
		}
		again := must(s.Again(licensing.WithCall(t.Context(), call()), id, secret))(t)
		if again.ID != first.ID || again.URL != first.URL || again.Access != first.Access || first.Access == "" {
			t.Errorf("replay: %+v, first: %+v", again, first)
		}
		if n, o := s.count(t, `orders`), s.bank.opened(); n != 1 || o != 1 {
			t.Errorf("%d orders, %d pages", n, o)
		}
	})
}

// TestC08_CrashBeforePageIsResumed guarantees that an order whose payment page was never opened, or opened without us hearing of it, gets
// exactly one page when it is asked for again.
func TestC08_CrashBeforePageIsResumed(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	down := errors.New("connection refused")
	s.bank.before = func(string) error { return down }
	_, err := s.Create(s.guest, s.basket(1))
	refused(t, err, licensing.Unavailable, "payment-provider-away")
	s.bank.before = nil
	var id string
	if err := s.DB.QueryRow(t.Context(), `SELECT id FROM orders`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c := must(s.Again(s.guest, id, ""))(t); c.URL == "" {
			t.Errorf("no page: %+v", c)
		}
	}
	if n := s.bank.opened(); n != 1 {
		t.Errorf("%d pages were opened", n)
	}
	if key := s.bank.requests[0].Key; key != "mintreu:session:"+id+":1" {
		t.Errorf("key %q", key)
	}
}

// TestC11_ForeignReturnURLRefused guarantees that a buyer is only ever sent back to the service or to a configured storefront, whatever
// spelling an attacker tries; and that the good ones carry the order's id and no secret.
func TestC11_ForeignReturnURLRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	for _, bad := range []string{"https://evil.example/", "//evil.example/", "https:evil.example", "javascript:alert(1)", "https://shop.example@evil.example/",
		"https://shop.example.evil.example/", "http://shop.example/", "https://shop.example:444/", "/relative", "https://shop.example\\@evil.example/", "https://store.example\r\nX: y",
		"https:///evil.example", "data:text/html,x", "https://user:pw@shop.example/", "https://SHOP.example\t/"} {
		for _, field := range []func(*checkout.CreateRequest){func(r *checkout.CreateRequest) { r.SuccessURL = bad }, func(r *checkout.CreateRequest) { r.CancelURL = bad }} {
			b := s.basket(1)
			field(&b)
			_, err := s.Create(s.guest, b)
			refused(t, err, licensing.Invalid, "foreign-return-url")
		}
	}
	b := s.basket(1)
	b.SuccessURL, b.CancelURL = "https://store.example/thanks?lang=de", "https://shop.example/cart"
	c := must(s.Create(s.guest, b))(t)
	r := s.bank.requests[0]
	if r.SuccessURL != "https://store.example/thanks?checkout="+c.ID+"&lang=de" || r.CancelURL != "https://shop.example/cart?checkout="+c.ID {
		t.Errorf("return to %q and %q", r.SuccessURL, r.CancelURL)
	}
	if strings.Contains(r.SuccessURL+r.CancelURL, c.Access) {
		t.Error("the access code is in a return URL")
	}
}

// TestC18_HostileBuyerTextRefused guarantees that nothing a buyer types can end a line of a header or of the provider's form, or be of
// unbounded length.
func TestC18_HostileBuyerTextRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	for _, email := range []string{"a@example.com\r\nBcc: all@example.com", "a@example.com\n", "\"a\nb\"@example.com", "Ada <a@example.com>", "a@b", "a b@example.com", "a@example.com,b@example.com",
		strings.Repeat("a", 5000) + "@example.com", "a@exam\x00ple.com", "<script>@example.com", "a@example.com\u2028", ""} {
		b := s.basket(1)
		b.Email = email
		_, err := s.Create(s.guest, b)
		refused(t, err, licensing.Invalid, "invalid-request")
	}
	for _, change := range []func(*checkout.CreateRequest){
		func(r *checkout.CreateRequest) { r.Country = "DE\r\n" }, func(r *checkout.CreateRequest) { r.Country = strings.Repeat("D", 5000) },
		func(r *checkout.CreateRequest) { r.VATID = "DE1\nX" }, func(r *checkout.CreateRequest) { r.VATID = "DE" + strings.Repeat("1", 5000) },
		func(r *checkout.CreateRequest) { r.Currency = "eur" }, func(r *checkout.CreateRequest) { r.Consent.Terms = false },
		func(r *checkout.CreateRequest) { r.Lines = nil }, func(r *checkout.CreateRequest) { r.Lines = append(r.Lines, r.Lines[0]) },
	} {
		b := s.basket(1)
		change(&b)
		_, err := s.Create(s.guest, b)
		refused(t, err, licensing.Invalid, "invalid-request")
	}
}

// TestOneOpenCheckoutForCustomerAndPlan guarantees that a customer who is signed in has one open payment page for a plan: the same
// basket leads to the same order, another one closes the page before, unless that one was paid, and somebody else is not concerned.
func TestOneOpenCheckoutForCustomerAndPlan(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		eve := licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}
		first := must(s.Create(as(t.Context(), eve), s.basket(1)))(t)
		same := must(s.Create(as(t.Context(), eve), s.basket(1)))(t)
		if same.ID != first.ID || same.URL != first.URL {
			t.Errorf("got another order: %+v", same)
		}
		two := must(s.Create(as(t.Context(), eve), s.basket(2)))(t)
		if o := s.load(t, first.ID); o.State != order.Closed || two.ID == first.ID || two.URL == "" {
			t.Errorf("the first order is %s, the second %+v", o.State, two)
		}
		s.bank.pay(two.ID) // and no delivery tells
		first = must(s.Create(as(t.Context(), eve), s.basket(1)))(t)
		if o := s.load(t, two.ID); o.State != order.Fulfilled {
			t.Errorf("the order that was paid is %s", o.State)
		}
		must(s.Create(as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "cus_bob", Owner: "cus_bob"}), s.basket(1)))(t)
		s.bank.pay(first.ID)
		if err := s.Fulfil(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		if second := must(s.Create(as(t.Context(), eve), s.basket(1)))(t); second.ID == first.ID {
			t.Error("the paid order was handed out again")
		}
		s.sound(t)
	})
}

// TestZeroTotalNeedsNoProvider guarantees that an order over nothing is fulfilled at once, in our own transaction.
func TestZeroTotalNeedsNoProvider(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		free := s.sell(t, "free", eur(0), catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}})
		b := s.basket(1)
		b.Lines[0].Plan = free.ID
		c := must(s.Create(s.guest, b))(t)
		if c.State != order.Fulfilled || len(c.Grants) != 1 || c.URL != "" || c.Access == "" || s.bank.opened() != 0 {
			t.Errorf("%+v, %d pages", c, s.bank.opened())
		}
		s.sound(t)
	})
}

// TestTaxIsFrozenAndCharged guarantees that fixed tax on top of the prices reaches the payment page and the order alike, and that a
// buyer without a country is asked for it.
func TestTaxIsFrozenAndCharged(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t), func(d *checkout.Deps) {
		d.Tax = order.TaxRules{Mode: order.FixedTax, Rates: map[string]money.BasisPoints{"DE": 1900}}
	})
	_, err := s.Create(s.guest, s.basket(1))
	refused(t, err, licensing.Invalid, "country-needed")
	b := s.basket(3)
	b.Country = "DE"
	c := must(s.Create(s.guest, b))(t)
	if c.Tax != eur(1140) || c.Total != eur(7140) {
		t.Errorf("tax %s, total %s", c.Tax, c.Total)
	}
	s.bank.pay(c.ID)
	if err := s.Fulfil(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if o := s.load(t, c.ID); o.State != order.Fulfilled {
		t.Errorf("%s: %s", o.State, o.Reason)
	}
	if n := s.count(t, `ledger_entry WHERE account = 'tax:DE' AND amount = -1140`); n != 1 {
		t.Errorf("tax was posted %d times", n)
	}
	s.sound(t)
}

// TestPaymentsOffOpensNothing guarantees that with payments off no order is made and no page opened, and that fulfilment of what was
// opened before goes on.
func TestPaymentsOffOpensNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	s.killed.set(licensing.SwitchPayments, true)
	_, err := s.Create(s.guest, s.basket(1))
	refused(t, err, licensing.Unavailable, "switched-off")
	s.bank.pay(c.ID)
	if err := s.Fulfil(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if o := s.load(t, c.ID); o.State != order.Fulfilled {
		t.Errorf("%s", o.State)
	}
}

// TestRefusedByProviderClosesOrder guarantees that an order which the provider will never take is closed and says so.
func TestRefusedByProviderClosesOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	s.bank.before = func(call string) error { return payment.ErrRefused }
	_, err := s.Create(s.guest, s.basket(1))
	refused(t, err, licensing.Conflict, "payment-refused")
	if n := s.count(t, `orders WHERE state = 'closed'`); n != 1 {
		t.Errorf("%d closed", n)
	}
	s.Clock.Advance(time.Hour)
}

// replays reads what an Idempotency-Key led to.
type replays interface {
	Find(ctx context.Context, actor, operation, key string) (hash []byte, resultID, secret string, found bool, err error)
}
