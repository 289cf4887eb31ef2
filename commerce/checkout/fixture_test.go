package checkout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// shop is a whole shop over a real database: catalogue, prices, orders, licenses and API keys, with a bank in memory.
type shop struct {
	storetest.Env
	*checkout.Service
	deps     checkout.Deps
	bank     *bank
	catalog  *catalog.Service
	pricing  *pricing.Service
	orders   *order.Service
	licenses *license.Service
	keys     *apikey.Service
	killed   *switches
	mail     *outbox
	product  catalog.ProductView
	plan     catalog.PlanView // one license and one API key a unit, 20.00 EUR or 25.00 USD
	staff    context.Context
	guest    context.Context
}

func newShop(t *testing.T, e storetest.Env, change ...func(*checkout.Deps)) *shop {
	t.Helper()
	s := &shop{Env: e, killed: &switches{off: map[licensing.Switch]bool{}}, mail: &outbox{}, bank: newBank(licensing.Live, e.Clock.Now)}
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	ring := keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: e.Store, Audit: trail})
	if err := ring.Ensure(t.Context(), "https://shop.example"); err != nil {
		t.Fatal(err)
	}
	s.licenses = license.New(license.Deps{Store: e.Store.Licenses(), Policies: e.Store.Policies(), Tokens: e.Store.LicenseTokens(), Renewals: e.Store.LicenseRenewals(), Seating: e.Store.LicenseSeats(), Transfers: e.Store.LicenseOwners(), Trials: e.Store.LicenseOwners(), Env: licensing.Live, Signer: ring, Verifier: ring,
		Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: s.killed})
	if s.keys, err = apikey.New(apikey.Deps{Store: e.Store.APIKeys(), Changer: e.Store.KeyChanges(), Credits: e.Store.KeyCredits(), Uses: e.Store.KeyUses(), Templates: e.Store.KeyTemplates(), Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: s.killed}); err != nil {
		t.Fatal(err)
	}
	s.pricing = pricing.NewService(pricing.Deps{Store: e.Store.Pricing(), Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail})
	s.catalog = catalog.NewService(catalog.Deps{Store: e.Store.Catalog(), Offers: e.Store.Offers(), Policies: e.Store.GrantPolicies(), Prices: s.pricing,
		Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail})
	s.orders = order.NewService(order.Deps{Store: e.Store.Orders(), Credits: e.Store.Credits()})
	s.deps = checkout.Deps{Orders: e.Store.Orders(), Credits: e.Store.Credits(), Sessions: e.Store.CheckoutSessions(), Grants: e.Store.OrderGrants(), Queue: e.Store.OrderQueue(), Shop: s.catalog,
		Prices: s.pricing, Gateway: s.bank, Givers: checkout.NewGivers(s.licenses, s.keys), Licenses: s.licenses, Buyers: &buyers{byMail: map[string]licensing.Owner{}}, Notices: s.mail,
		Switches: s.killed, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store.WithSeal(key), Audit: trail, Seal: key,
		BaseURL: "https://shop.example", Origins: []string{"https://store.example"}}
	for _, c := range change {
		c(&s.deps)
	}
	s.Service = checkout.NewService(s.deps)
	s.staff = as(t.Context(), licensing.Actor{Kind: licensing.Staff, ID: "cus_boss", Role: licensing.RoleAdmin, Fresh: true})
	s.guest = as(t.Context(), licensing.Actor{Kind: licensing.Anonymous})
	s.stock(t)
	return s
}

// as is a context in which actor calls a mutating operation.
func as(ctx context.Context, a licensing.Actor) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "test", Mutating: true, Actor: a})
}

// stock puts one product with one plan on sale.
func (s *shop) stock(t *testing.T) {
	t.Helper()
	s.product = must(s.catalog.CreateProduct(s.staff, catalog.CreateProductRequest{Slug: "editor", Name: "Editor", Purpose: catalog.Revenue, KeyPrefix: "EDIT"}))(t)
	must(s.licenses.CreatePolicy(s.staff, license.CreatePolicyRequest{ProductID: s.product.ID, Code: "standard", Name: "Standard",
		Terms: license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 2, By: doc.ByDevice}, Entitlements: license.Entitlements{"export": doc.On()}}}))(t)
	s.plan = s.sell(t, "pro", eur(2000), catalog.Grant{License: &catalog.LicenseGrant{Policy: "standard"}},
		catalog.Grant{APIKey: &catalog.APIKeyGrant{Scopes: []string{"render"}, RateCount: 5, RatePeriod: 60}})
	must(s.pricing.SetPrice(s.staff, pricing.SetPriceRequest{Plan: s.plan.ID, Price: money.New(2500, "USD")}))(t)
	must(s.catalog.PublishProduct(s.staff, catalog.ProductRequest{ID: s.product.ID}))(t)
}

// sell publishes a plan.
func (s *shop) sell(t *testing.T, code string, price money.Amount, grants ...catalog.Grant) catalog.PlanView {
	t.Helper()
	p := must(s.catalog.CreatePlan(s.staff, catalog.CreatePlanRequest{Product: s.product.ID, Code: code, Name: "Plan " + code, Type: catalog.Perpetual, Grants: grants}))(t)
	must(s.pricing.SetPrice(s.staff, pricing.SetPriceRequest{Plan: p.ID, Price: price}))(t)
	return must(s.catalog.PublishPlan(s.staff, catalog.PlanRequest{ID: p.ID}))(t)
}

// basket is a good basket of n units of the plan.
func (s *shop) basket(n int64) checkout.CreateRequest {
	return checkout.CreateRequest{Lines: []checkout.LineRequest{{Plan: s.plan.ID, Quantity: n}}, Currency: "EUR", Email: "ada@example.com",
		Consent: checkout.Consent{Terms: true, ImmediateDelivery: true}}
}

// order places an order of n units as a guest.
func (s *shop) order(t *testing.T, n int64) checkout.Checkout {
	t.Helper()
	return must(s.Create(as(s.guest, licensing.Actor{Kind: licensing.Anonymous}), s.basket(n)))(t)
}

// count counts rows.
func (s *shop) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.DB.QueryRow(t.Context(), `SELECT count(*) FROM `+sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// state is where an order stands.
func (s *shop) load(t *testing.T, id string) order.Order {
	t.Helper()
	return must(s.deps.Orders.Order(t.Context(), id))(t)
}

// sound fails the test if any of the store's invariants of orders is violated.
func (s *shop) sound(t *testing.T) {
	t.Helper()
	violations, err := s.Store.OrderViolations(t.Context(), s.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s %s: %s", v.Invariant, v.Object, v.Text)
	}
}

// must returns the value of a call and fails the test on its error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v", err)
		}
		return v
	}
}

// refused asserts that err has the code.
func refused(t *testing.T, err error, kind licensing.Kind, code string) {
	t.Helper()
	var e *licensing.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got %v, want kind %d code %s", err, kind, code)
	}
}

// switches is a set of kill switches that a test throws.
type switches struct {
	mu  sync.Mutex
	off map[licensing.Switch]bool
}

func (s *switches) set(w licensing.Switch, off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off[w] = off
}

// CheckProduct always says yes: the presses here are for all.
func (s *switches) CheckProduct(context.Context, licensing.Switch, string) error { return nil }

func (s *switches) Check(_ context.Context, w licensing.Switch, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off[w] {
		return licensing.Fail(licensing.Unavailable, "switched-off", "Switched off.")
	}
	return nil
}

// buyers hands out a customer for each address.
type buyers struct {
	mu     sync.Mutex
	byMail map[string]licensing.Owner
}

func (b *buyers) Guest(_ context.Context, email string) (licensing.Owner, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.byMail[email]; !ok {
		b.byMail[email] = licensing.Owner(fmt.Sprintf("cus_%032x", len(b.byMail)+1))
	}
	return b.byMail[email], nil
}

func (b *buyers) Known(_ context.Context, email string) (licensing.Owner, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if owner, ok := b.byMail[email]; ok {
		return owner, nil
	}
	return "", licensing.ErrNotFound
}

func (b *buyers) Email(context.Context, licensing.Owner) (string, error) {
	return "eve@example.com", nil
}

func (b *buyers) HoldOwner(context.Context, licensing.Owner) error { return nil }

// outbox keeps notices.
type outbox struct {
	mu  sync.Mutex
	all []checkout.Notice
}

func (o *outbox) Queue(_ context.Context, n checkout.Notice) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, n)
	return nil
}

func (o *outbox) sent(template string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.all {
		if m.Template == template {
			n++
		}
	}
	return n
}
