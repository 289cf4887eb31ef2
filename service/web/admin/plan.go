package admin

import (
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) planPages() []site.Page {
	back := to("/admin/plans/{id}", "Plan")
	request := func(id, _ string) catalog.PlanRequest { return catalog.PlanRequest{ID: id} }
	out := both("plan_new", "/admin/products/{id}/plans/new", p.newPlan)
	out = append(out, both("plan", "/admin/plans/{id}", p.plan)...)
	out = append(out, both("plan_edit", "/admin/plans/{id}/edit", p.editPlan)...)
	out = append(out, both("price_decide", "/admin/plans/{id}/prices/{price}/{what}", p.decidePrice)...)
	return append(out, p.asked(
		action{name: "plan_publish", path: "/admin/plans/{id}/publish", spec: p.ops.PublishPlan.Spec(), calm: true, silent: true, back: back,
			title: "Publish the plan", button: "Publish it", done: "The plan is published. It is sold as soon as its product is on sale.",
			what: "It can be bought once its product is on sale and it has a price.",
			do:   plain(func() op[catalog.PlanRequest, catalog.PlanView] { return p.ops.PublishPlan }, request)},
		action{name: "plan_archive", path: "/admin/plans/{id}/archive", spec: p.ops.ArchivePlan.Spec(), silent: true, back: back,
			title: "Archive the plan", button: "Archive it for good", done: "The plan is archived.",
			what: "This cannot be undone: nobody can buy it any more. What was sold under it stays good.",
			do:   plain(func() op[catalog.PlanRequest, catalog.PlanView] { return p.ops.ArchivePlan }, request)})...)
}

// granting is what a plan's grants are chosen from.
type granting struct {
	Policies []license.PolicyView
	// Complex says that the plan has grants which this form cannot show; they stay as they are.
	Complex bool
}

func (p *pages) granting(v *site.Visit, product string, grants []catalog.Grant) (granting, error) {
	list, err := p.ops.Policies.Call(v.Ctx(), license.ListPoliciesRequest{Page: licensing.Page{Limit: 100}, Product: product})
	g := granting{Policies: list.Items}
	licenses, keys := 0, 0
	for _, one := range grants {
		if one.License != nil {
			licenses++
		}
		if one.APIKey != nil {
			keys++
		}
	}
	g.Complex = licenses > 1 || keys > 1
	return g, err
}

// policyChoices are the policies to choose from.
func policyChoices(list []license.PolicyView) []ui.Option {
	out := []ui.Option{{Value: "", Name: "No license"}}
	for _, p := range list {
		out = append(out, ui.Option{Value: p.Code, Name: p.Name})
	}
	return out
}

func planTypes() []ui.Option {
	return []ui.Option{{Value: "perpetual", Name: "For good"}, {Value: "timed", Name: "For a time"}, {Value: "subscription", Name: "Subscription: to draft, not sold yet"}, {Value: "trial", Name: "Trial"}}
}

// fillGrants shows grants in the form.
func fillGrants(f *ui.Form, grants []catalog.Grant, policies []license.PolicyView) {
	for _, g := range grants {
		if l := g.License; l != nil {
			code := l.Policy
			for _, p := range policies {
				if p.ID == code {
					code = p.Code
				}
			}
			f.Default("policy", code)
			if l.Seats != nil {
				f.Default("seats", fmt.Sprint(*l.Seats))
			}
			f.Default("entitlements", entitlementLines(l.Entitlements))
		}
		if k := g.APIKey; k != nil {
			f.Default("api_key", "yes")
			f.Default("scopes", strings.Join(k.Scopes, " "))
			f.Default("count", fmt.Sprint(k.RateCount))
			f.Default("period", fmt.Sprint(k.RatePeriod))
		}
	}
	f.Default("period", "60")
}

// readGrants makes grants of the form.
func readGrants(f *ui.Form, had []catalog.Grant) []catalog.Grant {
	var out []catalog.Grant
	if policy := f.Text("policy"); policy != "" {
		l := &catalog.LicenseGrant{Policy: policy}
		if f.Text("seats") != "" {
			n := f.Int("seats", 0)
			l.Seats = &n
		}
		if e := entitlements(f, "entitlements"); len(e) > 0 {
			l.Entitlements = e
		}
		out = append(out, catalog.Grant{License: l})
	}
	if f.Has("api_key") {
		k := &catalog.APIKeyGrant{Scopes: words(f.Get("scopes")), RateCount: f.Int("count", 0), RatePeriod: f.Int("period", 60)}
		for _, g := range had {
			if g.APIKey != nil {
				k.Environment = g.APIKey.Environment
			}
		}
		out = append(out, catalog.Grant{APIKey: k})
	}
	return out
}

// grantFields maps what the operation calls the members of grants to fields of the form.
func grantFields() map[string]string {
	out := map[string]string{"/grants": "policy"}
	for i := range 2 {
		at := fmt.Sprintf("/grants/%d", i)
		for name, field := range map[string]string{"": "policy", "/license/policy": "policy", "/license/seats": "seats", "/license/entitlements": "entitlements", "/api_key/scopes": "scopes", "/api_key/rate_count": "count",
			"/api_key/rate_period": "period", "/api_key": "count", "/license": "policy"} {
			out[at+name] = field
		}
	}
	return out
}

func (p *pages) newPlan(v *site.Visit) error {
	if err := v.Ready(p.ops.CreatePlan.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	product, err := p.ops.Product.Call(v.Ctx(), catalog.ProductRequest{ID: id})
	if err != nil {
		return err
	}
	g, err := p.granting(v, id, nil)
	if err != nil {
		return err
	}
	frame := v.Frame("New plan", ui.Link{Href: "/admin/products/" + id, Name: product.Name})
	if !v.Posted() {
		if len(g.Policies) > 0 {
			f.Default("policy", g.Policies[0].Code)
		}
		fillGrants(f, nil, nil)
		return v.Show(newPlanPage(frame, f, product, g))
	}
	r := catalog.CreatePlanRequest{Product: id, Code: f.Text("code"), Name: f.Text("name"), Description: f.Text("description"), Type: catalog.PlanType(f.Text("type")), Grants: readGrants(f, nil)}
	if len(r.Grants) == 0 {
		f.Wrong("policy", "must give something: a license under a policy, an API key, or both")
	}
	if !f.OK() {
		return v.Show(newPlanPage(frame, f, product, g))
	}
	out, err := p.ops.CreatePlan.Call(v.Ctx(), r)
	if other := f.Refuse(err, grantFields()); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newPlanPage(frame, f, product, g))
	}
	return v.Go("/admin/plans/"+out.ID, "good", "The plan is made, as a draft. Now say what it costs.")
}

func (p *pages) editPlan(v *site.Visit) error {
	if err := v.Ready(p.ops.UpdatePlan.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	plan, err := p.ops.Plan.Call(v.Ctx(), catalog.PlanRequest{ID: id})
	if err != nil {
		return err
	}
	g, err := p.granting(v, plan.Product, plan.Grants)
	if err != nil {
		return err
	}
	frame := v.Frame("Change "+plan.Name, ui.Link{Href: "/admin/plans/" + id, Name: plan.Name})
	if !v.Posted() {
		for name, value := range map[string]string{"code": plan.Code, "name": plan.Name, "description": plan.Description, "version": ui.Plain(plan.Version)} {
			f.Default(name, value)
		}
		fillGrants(f, plan.Grants, g.Policies)
		return v.Show(editPlanPage(frame, f, plan, g))
	}
	code, name, description, version := f.Text("code"), f.Text("name"), f.Text("description"), f.Int("version", 0)
	r := catalog.UpdatePlanRequest{ID: id, Name: &name, Description: &description, Version: &version}
	if plan.State == catalog.Draft {
		r.Code = &code
	}
	if !g.Complex {
		grants := readGrants(f, plan.Grants)
		if len(grants) == 0 {
			f.Wrong("policy", "must give something: a license under a policy, an API key, or both")
		}
		r.Grants = &grants
	}
	if !f.OK() {
		return v.Show(editPlanPage(frame, f, plan, g))
	}
	_, err = p.ops.UpdatePlan.Call(v.Ctx(), r)
	if other := f.Refuse(err, grantFields()); other != nil {
		return other
	}
	if err != nil {
		return v.Show(editPlanPage(frame, f, plan, g))
	}
	return v.Go("/admin/plans/"+id, "good", "The plan is changed, for orders from now on.")
}

// planView is what the page of a plan shows.
type planView struct {
	catalog.PlanView
	Versions               []pricing.PriceView
	Change, Price, Approve bool // the visitor may
	Me                     string
	Next                   todo
}

// plan shows a plan with its prices, and sets or proposes one.
func (p *pages) plan(v *site.Visit) error {
	f, id := v.Form(), v.Param("id")
	plan, err := p.ops.Plan.Call(v.Ctx(), catalog.PlanRequest{ID: id})
	if err != nil {
		return err
	}
	prices, err := p.ops.Prices.Call(v.Ctx(), pricing.ListPricesRequest{Plan: id})
	if err != nil {
		return err
	}
	view := planView{PlanView: plan, Versions: prices.Items, Change: may(v, p.ops.UpdatePlan.Spec()), Price: may(v, p.ops.SetPrice.Spec()), Approve: may(v, p.ops.ApprovePrice.Spec()), Me: v.Actor.String()}
	wanting, err := p.wanting(v, plan.Product, plan)
	if err != nil {
		return err
	}
	if len(wanting) > 0 {
		view.Next = policyFirst(plan.Product, wanting[0])
	}
	frame := v.Frame(plan.Name, ui.Link{Href: "/admin/products", Name: "Products"}, ui.Link{Href: "/admin/products/" + plan.Product, Name: "Product"})
	f.Default("currency", "EUR")
	if !v.Posted() {
		return v.Show(planPage(frame, f, view))
	}
	currency := money.Currency(strings.ToUpper(f.Text("currency")))
	amount, err := money.Parse(strings.ReplaceAll(f.Text("amount"), ",", "."), currency)
	switch {
	case !currency.Valid():
		f.Wrong("currency", "must be a code of three letters, for example EUR")
	case err != nil:
		f.Wrong("amount", "must be an amount like 49 or 49.90")
	}
	from := instant(f, "effective_from")
	if !f.OK() {
		return v.Show(planPage(frame, f, view))
	}
	out, err := p.ops.SetPrice.Call(v.Ctx(), pricing.SetPriceRequest{Plan: id, Price: amount, EffectiveFrom: from})
	if other := f.Refuse(err, map[string]string{"/price/amount": "amount", "/price/currency": "currency"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(planPage(frame, f, view))
	}
	if out.State == pricing.Proposed {
		return v.Go("/admin/plans/"+id, "wait", "The new price is proposed. It is charged once somebody else approves it.")
	}
	return v.Go("/admin/plans/"+id, "good", "The price is set.")
}

// decidePrice approves, rejects or archives a version of a price, after asking.
func (p *pages) decidePrice(v *site.Visit) error {
	price := v.Param("price")
	request := func(_, _ string) pricing.PriceRequest { return pricing.PriceRequest{ID: price} }
	a := action{silent: true, back: to("/admin/plans/{id}", "Plan")}
	switch v.Param("what") {
	case "approve":
		a.spec, a.calm, a.title, a.button, a.done = p.ops.ApprovePrice.Spec(), true, "Approve the price", "Approve it", "The price is approved."
		a.what = "It is charged from the instant it names, and from now on if that has passed. Whoever proposed it cannot approve it; where one person runs the shop, they can ten minutes later."
		a.do = plain(func() op[pricing.PriceRequest, pricing.PriceView] { return p.ops.ApprovePrice }, request)
	case "reject":
		a.spec, a.title, a.button, a.done = p.ops.RejectPrice.Spec(), "Reject the proposal", "Reject it", "The proposal is rejected."
		a.what = "The price stays as it is. The proposal cannot be taken up again; make a new one."
		a.do = plain(func() op[pricing.PriceRequest, pricing.PriceView] { return p.ops.RejectPrice }, request)
	case "archive":
		a.spec, a.title, a.button, a.done = p.ops.ArchivePrice.Spec(), "End the sale in this currency", "End it", "The plan is not sold in this currency any more."
		a.what = "Nobody can buy the plan in this currency any more. A later price in it needs a second person's approval."
		a.do = plain(func() op[pricing.PriceRequest, pricing.PriceView] { return p.ops.ArchivePrice }, request)
	default:
		return licensing.ErrNotFound
	}
	return p.act(v, a)
}

// current reports whether a version is what is charged now.
func current(v planView, price pricing.PriceView) bool {
	for _, o := range v.Prices {
		if o.ID == price.ID {
			return true
		}
	}
	return false
}

// grantText is a grant in words.
func grantText(g catalog.Grant) string {
	switch {
	case g.License != nil:
		text := "A license under the policy " + g.License.Policy
		if g.License.Seats != nil {
			text += ", " + ui.Plural(*g.License.Seats, "seat", "seats")
		}
		if n := len(g.License.Entitlements); n > 0 {
			text += ", with " + ui.Plural(int64(n), "feature", "features") + " of its own"
		}
		return text
	case g.APIKey != nil:
		text := fmt.Sprintf("An API key for %s calls", ui.Number(g.APIKey.RateCount))
		span := fmt.Sprintf("%d seconds", g.APIKey.RatePeriod)
		for _, o := range ui.Periods() {
			if o.Value == fmt.Sprint(g.APIKey.RatePeriod) {
				span = o.Name
			}
		}
		text += " in " + span
		if len(g.APIKey.Scopes) > 0 {
			text += " (" + strings.Join(g.APIKey.Scopes, ", ") + ")"
		}
		return text
	}
	return "–"
}
