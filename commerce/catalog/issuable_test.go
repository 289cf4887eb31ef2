package catalog_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What the catalogue takes can be issued once it is paid for: every prefix it allows makes a license key, every scope and rate it allows
// makes an API key, and what could not be issued is refused when it is written down.
func TestNothingIsForSaleThatCannotBeIssued(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	product := must(s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "viewer", Name: "Viewer", Purpose: catalog.Revenue}))(t)
	for prefix, want := range map[string]bool{"MINT": true, "QU": true, "A1234567": true, "3DMAX": false, "1A": false, "A": false, "ABCDEFGHI": false, "Mint": false} {
		_, err := s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "p-" + strings.ToLower(prefix), Name: "P", Purpose: catalog.Revenue, KeyPrefix: prefix})
		if (err == nil) != want {
			t.Errorf("prefix %q: %v", prefix, err)
		}
		if _, issue := doc.NewLicenseKey(prefix, bytes.NewReader(make([]byte, 64))); err == nil && issue != nil {
			t.Errorf("prefix %q is for sale: %v", prefix, issue)
		}
	}
	for name, c := range map[string]struct {
		grant catalog.APIKeyGrant
		want  bool
	}{
		"usual":          {catalog.APIKeyGrant{Scopes: []string{"docs:read", "docs"}, RateCount: 60, RatePeriod: 60}, true},
		"fastest":        {catalog.APIKeyGrant{RateCount: 1_000_000, RatePeriod: 1}, true},
		"too fast":       {catalog.APIKeyGrant{RateCount: 1_000_001, RatePeriod: 1}, false},
		"three words":    {catalog.APIKeyGrant{Scopes: []string{"a:b:c"}, RateCount: 1, RatePeriod: 1}, false},
		"no verb":        {catalog.APIKeyGrant{Scopes: []string{"docs:"}, RateCount: 1, RatePeriod: 1}, false},
		"the same twice": {catalog.APIKeyGrant{Scopes: []string{"docs", "docs"}, RateCount: 1, RatePeriod: 1}, false},
	} {
		_, err := s.CreatePlan(s.ada, catalog.CreatePlanRequest{Product: product.ID, Code: strings.ReplaceAll(name, " ", "-"), Name: "P", Type: catalog.Perpetual,
			Grants: []catalog.Grant{{APIKey: &c.grant}}})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		limit := apikey.Limit{Name: "rate", Count: c.grant.RateCount, Seconds: c.grant.RatePeriod, Burst: c.grant.RateCount}
		if err == nil && limit.Rate().Validate() != nil {
			t.Errorf("%s is for sale and cannot be counted", name)
		}
	}
}

// A license that a plan grants can be issued to who pays for it: features that no license carries are refused where they are written down, and
// what only the policy makes impossible when the plan is published. Of a policy that is changed afterwards nothing is sold.
func TestNoLicenseIsForSaleThatCannotBeIssued(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	product := must(s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "viewer", Name: "Viewer", Purpose: catalog.Revenue}))(t)
	policy := func(code string, terms license.Terms) license.Policy {
		t.Helper()
		terms.Seats = license.Seats{N: 1, By: doc.ByDevice}
		p := license.Policy{ID: "pol_" + code, ProductID: product.ID, Code: code, Name: code, Terms: terms.WithDefaults(), Version: 1}
		if err := s.DB.InTx(t.Context(), func(ctx context.Context) error { return s.Env.Store.Policies().AddPolicy(ctx, p) }); err != nil {
			t.Fatal(err)
		}
		return p
	}
	plain := policy("plain", license.Terms{Type: doc.Perpetual})
	policy("metered", license.Terms{Type: doc.Perpetual, Meters: map[string]license.Meter{"pages": {Quota: 5, Period: "month"}}})
	policy("paid-through", license.Terms{Type: doc.Subscription})
	for name, c := range map[string]struct {
		grant     catalog.LicenseGrant
		made, put string // the code of the refusal when it is made, and when it is published
	}{
		"good":     {catalog.LicenseGrant{Policy: "plain", Entitlements: map[string]doc.Value{"export": doc.On(), "tier": doc.Text("gold")}}, "", ""},
		"capital":  {catalog.LicenseGrant{Policy: "plain", Entitlements: map[string]doc.Value{"Export": doc.On()}}, "invalid-request", ""},
		"long":     {catalog.LicenseGrant{Policy: "plain", Entitlements: map[string]doc.Value{"tier": doc.Text(strings.Repeat("x", 129))}}, "invalid-request", ""},
		"no-value": {catalog.LicenseGrant{Policy: "plain", Entitlements: map[string]doc.Value{"tier": {}}}, "invalid-request", ""},
		"a-no":     {catalog.LicenseGrant{Policy: "plain", Entitlements: map[string]doc.Value{"export": doc.Text("false")}}, "invalid-request", ""},
		"meter":    {catalog.LicenseGrant{Policy: "metered", Entitlements: map[string]doc.Value{"pages": doc.Int(9)}}, "", "not-issuable"},
		"endless":  {catalog.LicenseGrant{Policy: "paid-through"}, "", "not-issuable"},
	} {
		plan, err := s.CreatePlan(s.ada, catalog.CreatePlanRequest{Product: product.ID, Code: name, Name: name, Type: catalog.Perpetual, Grants: []catalog.Grant{{License: &c.grant}}})
		if c.made != "" {
			refused(t, err, c.made)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(2000, "EUR")}))(t)
		if _, err = s.PublishPlan(s.ada, catalog.PlanRequest{ID: plan.ID}); c.put != "" {
			refused(t, err, c.put)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		must(s.PublishProduct(s.ada, catalog.ProductRequest{ID: product.ID}))(t)
		if _, err := s.Sellable(s.ada, []string{plan.ID}); err != nil {
			t.Errorf("%s is on sale: %v", name, err)
		}
		plain.Terms.Type, plain.Version = doc.Subscription, 2
		if err := s.DB.InTx(t.Context(), func(ctx context.Context) error {
			_, err := s.Env.Store.Policies().SavePolicy(ctx, plain, 1)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_, err = s.Sellable(s.ada, []string{plan.ID})
		refused(t, err, "not-for-sale")
	}
}
