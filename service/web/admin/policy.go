package admin

import (
	"cmp"
	"fmt"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) policyPages() []site.Page {
	out := []site.Page{get("policies", "/admin/policies", p.policies)}
	out = append(out, both("policy_new", "/admin/policies/new", p.newPolicy)...)
	return append(out, both("policy", "/admin/policies/{id}", p.policy)...)
}

func (p *pages) policies(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	list, err := p.ops.Policies.Call(v.Ctx(), license.ListPoliciesRequest{Page: page(v, 50), Product: pick(v, "product", productChoices("", products))})
	if err != nil {
		return err
	}
	return v.Show(policiesPage(v.Frame("Policies"), v.Filter(), list, products, next(v, list.Next), filtered(v), may(v, p.ops.CreatePolicy.Spec())))
}

func (p *pages) newPolicy(v *site.Visit) error {
	if err := v.Ready(p.ops.CreatePolicy.Spec()); err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("New policy", ui.Link{Href: "/admin/policies", Name: "Policies"})
	f.Default("product", v.Query("product"))
	start := presetOf(v.Query("preset"))
	view := newPolicyView{Products: products, Preset: start.Code, Product: v.Query("product"), Code: v.Query("code")}
	if !v.Posted() {
		f.Default("code", cmp.Or(view.Code, start.Code))
		fillPolicy(f, start.Name, start.Terms.WithDefaults())
		return v.Show(newPolicyPage(frame, f, view))
	}
	r := license.CreatePolicyRequest{ProductID: f.Text("product"), Code: f.Text("code"), Name: f.Text("name"), Terms: readPolicy(f, license.Terms{})}
	if !f.OK() {
		return v.Show(newPolicyPage(frame, f, view))
	}
	out, err := p.ops.CreatePolicy.Call(v.Ctx(), r)
	if other := f.Refuse(err, policyFields(err)); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newPolicyPage(frame, f, view))
	}
	if view.Code != "" { // it was wanting for a product to be sold, whose next step is on its page
		return v.Go("/admin/products/"+out.ProductID, "good", "The policy is made.")
	}
	return v.Go("/admin/policies/"+out.ID, "good", "The policy is made. Plans can grant licenses under it by its code, "+out.Code+".")
}

// newPolicyView is what the page of a new policy shows beside its form.
type newPolicyView struct {
	Products []catalog.ProductView
	Preset   string // code of the preset it starts from
	Product  string // id of the product asked for
	Code     string // that a plan of the product names already, "" for a policy that nobody waits for
}

// at is the address of the page with another preset to start from.
func (n newPolicyView) at(preset string) string {
	pairs := []string{"preset", preset}
	if n.Product != "" {
		pairs = append(pairs, "product", n.Product)
	}
	if n.Code != "" {
		pairs = append(pairs, "code", n.Code)
	}
	return link("/admin/policies/new", pairs...)
}

func (p *pages) policy(v *site.Visit) error {
	f, id := v.Form(), v.Param("id")
	frame := v.Frame("Policy", ui.Link{Href: "/admin/policies", Name: "Policies"})
	policy, err := p.ops.Policy.Call(v.Ctx(), license.PolicyRequest{ID: id})
	if err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	frame.Title = policy.Name
	view := policyView{PolicyView: policy, Product: named(products, policy.ProductID), Change: may(v, p.ops.ChangePolicy.Spec())}
	if !v.Posted() {
		fillPolicy(f, policy.Name, policy.Terms)
		f.Default("version", fmt.Sprint(policy.Version))
		return v.Show(policyPage(frame, f, view))
	}
	r := license.ChangePolicyRequest{ID: id, Version: f.Int("version", 0), Name: f.Text("name"), Terms: readPolicy(f, policy.Terms)}
	if !f.OK() {
		return v.Show(policyPage(frame, f, view))
	}
	_, err = p.ops.ChangePolicy.Call(v.Ctx(), r)
	if other := f.Refuse(err, policyFields(err)); other != nil {
		return other
	}
	if err != nil {
		return v.Show(policyPage(frame, f, view))
	}
	return v.Go("/admin/policies/"+id, "good", "The policy is changed, for licenses issued from now on.")
}

// policyView is what the page of a policy shows.
type policyView struct {
	license.PolicyView
	Product string // its product's name
	Change  bool
}
