package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// shelf is a catalogue with prices over a real database.
type shelf struct {
	storetest.Env
	*catalog.Service
	prices *pricing.Service
	ada    context.Context
	bob    context.Context
}

func newShelf(t *testing.T, e storetest.Env, single bool) *shelf {
	t.Helper()
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	s := &shelf{Env: e}
	s.prices = pricing.NewService(pricing.Deps{Store: e.Store.Pricing(), Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, SingleOperator: single})
	s.Service = catalog.NewService(catalog.Deps{Store: e.Store.Catalog(), Offers: e.Store.Offers(), Policies: e.Store.GrantPolicies(), Prices: s.prices,
		Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail})
	person := func(id string, fresh bool) context.Context {
		return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: id, Role: licensing.RoleAdmin, Fresh: fresh}})
	}
	s.ada, s.bob = person("cus_ada", true), person("cus_bob", true)
	return s
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var e *licensing.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// plan makes a draft plan that grants an API key.
func (s *shelf) plan(t *testing.T) (catalog.ProductView, catalog.PlanView) {
	t.Helper()
	p := must(s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "editor", Name: "Editor", Purpose: catalog.Revenue}))(t)
	return p, must(s.CreatePlan(s.ada, catalog.CreatePlanRequest{Product: p.ID, Code: "pro", Name: "Pro", Type: catalog.Perpetual,
		Grants: []catalog.Grant{{APIKey: &catalog.APIKeyGrant{RateCount: 5, RatePeriod: 60}}}}))(t)
}

// TestLifeCycle guarantees the order of a product's states, that nothing is sold before a plan with a price is published, that only
// what is on sale is shown, and that the slug is fixed once the product was active.
func TestLifeCycle(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, false)
		p, plan := s.plan(t)
		product, id := catalog.ProductRequest{ID: p.ID}, catalog.PlanRequest{ID: plan.ID}
		slug := "photo-editor"
		must(s.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: p.ID, Slug: &slug}))(t)
		_, err := s.PublishProduct(s.ada, product)
		refused(t, err, "no-active-plan")
		_, err = s.PublishPlan(s.ada, id)
		refused(t, err, "no-price")
		must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(2000, "EUR")}))(t)
		must(s.PublishPlan(s.ada, id))(t)
		if _, err := s.Show(s.ada, catalog.ShowRequest{Slug: slug}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("a draft is shown: %v", err)
		}
		must(s.PublishProduct(s.ada, product))(t)
		shown := must(s.Browse(s.ada, catalog.BrowseRequest{}))(t)
		if len(shown.Items) != 1 || len(shown.Items[0].Plans) != 1 || shown.Items[0].Plans[0].Prices[0].Price != money.New(2000, "EUR") {
			t.Errorf("shown: %+v", shown)
		}
		other := "other"
		_, err = s.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: p.ID, Slug: &other})
		refused(t, err, "slug-fixed")
		_, err = s.RetireProduct(s.ada, product)
		refused(t, err, "wrong-state")
		must(s.SunsetProduct(s.ada, product))(t)
		if shown := must(s.Browse(s.ada, catalog.BrowseRequest{}))(t); len(shown.Items) != 0 {
			t.Error("a sunset product is on sale")
		}
		must(s.RetireProduct(s.ada, product))(t)
		_, err = s.PublishProduct(s.ada, product)
		refused(t, err, "wrong-state")
		_, err = s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: slug, Name: "Twice", Purpose: catalog.Revenue})
		refused(t, err, "name-taken")
	})
}

// TestSubscriptionsAreNotSold guarantees that nobody is charged once for what is called a subscription: such a plan is drafted and priced, and never
// published, imported as one on sale, or sold where it was published by an earlier version.
func TestSubscriptionsAreNotSold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, false)
		p, pro := s.plan(t)
		monthly := must(s.CreatePlan(s.ada, catalog.CreatePlanRequest{Product: p.ID, Code: "monthly", Name: "Monthly", Type: catalog.Subscription,
			Grants: []catalog.Grant{{APIKey: &catalog.APIKeyGrant{RateCount: 5, RatePeriod: 60}}}}))(t)
		for _, plan := range []string{pro.ID, monthly.ID} {
			must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan, Price: money.New(900, "EUR")}))(t)
		}
		must(s.PublishPlan(s.ada, catalog.PlanRequest{ID: pro.ID}))(t)
		_, err := s.PublishPlan(s.ada, catalog.PlanRequest{ID: monthly.ID})
		refused(t, err, "subscriptions-not-sold")
		must(s.PublishProduct(s.ada, catalog.ProductRequest{ID: p.ID}))(t)
		must(s.Sellable(s.ada, []string{pro.ID}))(t)
		if _, err := e.DB.Exec(t.Context(), `UPDATE plan SET state = 'active' WHERE id = $1`, monthly.ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Sellable(s.ada, []string{monthly.ID})
		refused(t, err, "not-for-sale")
		name := "Monthly, renamed"
		_, err = s.UpdatePlan(s.ada, catalog.UpdatePlanRequest{ID: monthly.ID, Name: &name})
		refused(t, err, "subscriptions-not-sold")
	})
}

// TestPolicyOfAnotherProductIsNoPolicy guarantees that a plan cannot be published with a license grant whose policy its product does not have.
func TestPolicyOfAnotherProductIsNoPolicy(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	_, plan := s.plan(t)
	grants := []catalog.Grant{{License: &catalog.LicenseGrant{Policy: "nowhere"}}}
	must(s.UpdatePlan(s.ada, catalog.UpdatePlanRequest{ID: plan.ID, Grants: &grants}))(t)
	must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(1, "EUR")}))(t)
	_, err := s.PublishPlan(s.ada, catalog.PlanRequest{ID: plan.ID})
	refused(t, err, "no-policy")
}

// TestStaleChangeRefused guarantees that a change made on an old reading is refused.
func TestStaleChangeRefused(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	p, _ := s.plan(t)
	name, version := "New", p.Version
	must(s.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: p.ID, Name: &name, Version: &version}))(t)
	_, err := s.UpdateProduct(s.bob, catalog.UpdateProductRequest{ID: p.ID, Name: &name, Version: &version})
	refused(t, err, "changed-meanwhile")
}

// TestChangedPriceNeedsSecondPerson guarantees that the first price is in force at once, that a changed one is charged only after
// somebody else approved it and from its instant on, and that the database itself refuses the proposer as approver.
func TestChangedPriceNeedsSecondPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, false)
		_, plan := s.plan(t)
		current := func() int64 {
			return must(s.prices.Current(t.Context(), plan.ID, "EUR", s.Clock.Now()))(t).Amount.Minor
		}
		must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(2000, "EUR")}))(t)
		later := s.Clock.Now().Add(time.Hour)
		p := must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(3000, "EUR"), EffectiveFrom: &later}))(t)
		if p.State != pricing.Proposed || p.Version != 2 || current() != 2000 {
			t.Fatalf("%+v, current %d", p, current())
		}
		_, err := s.prices.ApprovePrice(s.ada, pricing.PriceRequest{ID: p.ID})
		refused(t, err, "second-person-needed")
		if _, err := e.DB.Exec(t.Context(), `UPDATE price SET state = 'approved', decided_by = proposed_by, decided_at = proposed_at WHERE id = $1`, p.ID); err == nil {
			t.Error("the database took the proposer as approver")
		}
		must(s.prices.ApprovePrice(s.bob, pricing.PriceRequest{ID: p.ID}))(t)
		_, err = s.prices.ApprovePrice(s.bob, pricing.PriceRequest{ID: p.ID})
		refused(t, err, "wrong-state")
		if current() != 2000 {
			t.Error("the new price is charged before its instant")
		}
		s.Clock.Advance(time.Hour)
		if current() != 3000 {
			t.Error("the new price is not charged from its instant on")
		}
	})
}

// TestSingleOperatorApprovesAfterDelay guarantees that in a shop of one person the proposer can approve alone, freshly signed in and
// after ten minutes, and that the price says so.
func TestSingleOperatorApprovesAfterDelay(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), true)
	_, plan := s.plan(t)
	must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(2000, "EUR")}))(t)
	p := must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(3000, "EUR")}))(t)
	_, err := s.prices.ApprovePrice(s.ada, pricing.PriceRequest{ID: p.ID})
	refused(t, err, "too-early")
	s.Clock.Advance(pricing.OperatorDelay)
	stale := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_ada"}})
	_, err = s.prices.ApprovePrice(stale, pricing.PriceRequest{ID: p.ID})
	refused(t, err, "fresh-sign-in-needed")
	if got := must(s.prices.ApprovePrice(s.ada, pricing.PriceRequest{ID: p.ID}))(t); !got.SingleOperator || got.State != pricing.Approved {
		t.Errorf("%+v", got)
	}
}

const file = `product_slug,product_name,product_description,purpose,key_prefix,plan_code,plan_name,plan_type,license_policy,license_seats,api_scopes,api_rate_count,api_rate_period,price_EUR,price_JPY
editor,Editor,"Edits, well",revenue,EDIT,pro,Pro,perpetual,standard,3,,,,49.00,8000
editor,,,,,api,API,timed,,,render read,100,60,9.90,
viewer,Viewer,,distribution,,free,Free,perpetual,standard,,,,,0.00,
`

// TestImportIsAllOrNothingAndIdempotent guarantees that a dry run keeps nothing and reports what the import then does, that the same
// file again changes nothing, and that a changed price becomes a proposal.
func TestImportIsAllOrNothingAndIdempotent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, false)
		dry := must(s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: file, DryRun: true}))(t)
		if dry.Committed || dry.Failed != 0 || len(must(s.ListProducts(s.ada, catalog.ListProductsRequest{}))(t).Items) != 0 {
			t.Fatalf("dry run: %+v", dry)
		}
		first := must(s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: file}))(t)
		if !first.Committed || len(first.Rows) != len(dry.Rows) || outcomes(first)["create"] != 9 {
			t.Fatalf("import: %+v", first)
		}
		if second := must(s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: file}))(t); outcomes(second)["unchanged"] != 9 {
			t.Errorf("the same file again: %+v", outcomes(second))
		}
		dearer := must(s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: strings.Replace(file, "49.00", "59.00", 1)}))(t)
		if outcomes(dearer)["propose"] != 1 || outcomes(dearer)["unchanged"] != 8 {
			t.Errorf("a changed price: %+v", outcomes(dearer))
		}
		product := must(s.ListProducts(s.ada, catalog.ListProductsRequest{Slug: "editor"}))(t).Items[0]
		plans := must(s.GetProduct(s.ada, catalog.ProductRequest{ID: product.ID}))(t).Plans
		if len(plans) != 2 || plans[0].Grants[0].APIKey.Scopes[1] != "read" || *plans[1].Grants[0].License.Seats != 3 || plans[1].Prices[0].Price != money.New(4900, "EUR") || plans[1].Prices[1].Price != money.New(8000, "JPY") {
			t.Errorf("plans: %+v", plans)
		}
	})
}

func outcomes(r catalog.ImportReport) map[string]int {
	n := map[string]int{}
	for _, row := range r.Rows {
		n[row.Outcome]++
	}
	return n
}

// TestImportNamesEveryFault guarantees that a file with errors imports nothing and that each fault is reported with its line, its column
// and what would be right.
func TestImportNamesEveryFault(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	bad := "product_slug,product_name,purpose,plan_code,plan_name,plan_type,api_rate_count,api_rate_period,price_EUR\n" +
		"ok,Fine,revenue,pro,Pro,perpetual,5,60,1.00\n" +
		"Bad Slug,X,revenue,pro,Pro,perpetual,5,60,1.00\n" +
		"third,Y,money,pro,Pro,forever,five,60,1.005\n" +
		"ok,,,pro,Again,perpetual,5,60,2.00\n" +
		"short,row\n"
	report := must(s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: bad, DryRun: true}))(t)
	found := map[string]bool{}
	for _, row := range report.Rows {
		for _, f := range row.Errors {
			found[strings.Join([]string{itoa(row.Line), f.Name}, " ")] = true
			if f.Detail == "" {
				t.Errorf("line %d %s says nothing", row.Line, f.Name)
			}
		}
	}
	for _, want := range []string{"3 slug", "4 purpose", "4 type", "4 api_rate_count", "4 price_EUR", "5 code", "6 columns"} {
		if !found[want] {
			t.Errorf("no fault %q in %v", want, found)
		}
	}
	_, err := s.Import(s.ada, catalog.ImportRequest{Format: "csv", Data: bad})
	refused(t, err, "import-refused")
	if n := len(must(s.ListProducts(s.ada, catalog.ListProductsRequest{}))(t).Items); n != 0 {
		t.Errorf("%d products were imported", n)
	}
	for code, r := range map[string]catalog.ImportRequest{
		"import-too-large":  {Format: "csv", Data: strings.Repeat("x", catalog.MaxImportBytes+1)},
		"import-encoding":   {Format: "csv", Data: "\xff"},
		"import-empty":      {Format: "csv", Data: "product_slug\n"},
		"import-unreadable": {Format: "json", Data: `[]`},
		"invalid-request":   {Format: "xml", Data: "x"},
	} {
		_, err := s.Import(s.ada, r)
		refused(t, err, code)
	}
}

// TestImportJSON guarantees that JSON is read strictly, product by product, each fault at its line.
func TestImportJSON(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	data := `{"products": [
 {"slug": "a", "name": "A", "purpose": "revenue", "plans": [{"code": "x", "name": "X", "type": "perpetual", "grants": [{"license": {"policy": "p", "entitlements": {"export": true}}}], "prices": [{"amount": 100, "currency": "EUR"}]}]},
 {"slug": "b", "name": "B", "purpose": "revenue", "price": 1},
 {"slug": "c", "name": "C", "name": "D", "purpose": "revenue"},
 {"slug": "a", "name": "A", "purpose": "revenue"}
]}`
	report := must(s.Import(s.ada, catalog.ImportRequest{Format: "json", Data: data, DryRun: true}))(t)
	lines := map[int]bool{}
	for _, row := range report.Rows {
		lines[row.Line] = true
	}
	if report.Failed == 0 || !lines[3] || !lines[4] || !lines[5] {
		t.Errorf("%+v", report)
	}
	good := strings.Split(data, "\n")
	one := must(s.Import(s.ada, catalog.ImportRequest{Format: "json", Data: good[0] + "\n" + strings.TrimSuffix(good[1], ",") + "\n]}"}))(t)
	if outcomes(one)["create"] != 3 {
		t.Errorf("%+v", one)
	}
}

func itoa(n int) string { return string(rune('0' + n)) }
