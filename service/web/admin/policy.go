package admin

import (
	"fmt"
	"strconv"

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

const daySeconds = 24 * 60 * 60

// days writes seconds as days; "" for none.
func days(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(seconds)/daySeconds, 'f', -1, 64)
}

// seconds reads a number of days.
func seconds(f *ui.Form, name string) int64 {
	text := f.Text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 73000 {
		f.Wrong(name, "must be a number of days, for example 30 or 0.5")
		return 0
	}
	return int64(n * daySeconds)
}

// fillPolicy shows terms in the form.
func fillPolicy(f *ui.Form, name string, t license.Terms) {
	yes := map[bool]string{true: "yes"}
	for field, value := range map[string]string{"name": name, "type": t.Type, "duration": days(t.Duration), "updates_for": days(t.UpdatesFor), "max_version": t.MaxVersion, "expired": t.Expired,
		"expiry_grace": days(t.ExpiryGrace), "seats": fmt.Sprint(t.Seats.N), "by": t.Seats.By, "floating": yes[t.Seats.Floating], "overage": fmt.Sprint(t.OveragePercent), "over_limit": t.OverLimit,
		"activation": yes[t.Activation == "required"], "recheck": days(t.Recheck), "fresh": days(t.Fresh), "stale": days(t.Stale), "grace": days(t.Grace), "then": t.Then, "dead_after": days(t.DeadAfter),
		"entitlements": entitlementLines(t.Entitlements)} {
		f.Default(field, value)
	}
}

// readPolicy lays what the form says over terms; what the form does not show stays.
func readPolicy(f *ui.Form, t license.Terms) license.Terms {
	t.Type, t.Duration, t.UpdatesFor, t.MaxVersion = f.Text("type"), seconds(f, "duration"), seconds(f, "updates_for"), f.Text("max_version")
	t.Expired, t.ExpiryGrace = f.Text("expired"), seconds(f, "expiry_grace")
	t.Seats = license.Seats{N: f.Int("seats", 0), By: f.Text("by"), Floating: f.Has("floating")}
	t.OveragePercent, t.OverLimit = f.Int("overage", 0), f.Text("over_limit")
	t.Activation = "none"
	if f.Has("activation") {
		t.Activation = "required"
	}
	t.Recheck, t.Fresh, t.Stale, t.Grace, t.Then, t.DeadAfter = seconds(f, "recheck"), seconds(f, "fresh"), seconds(f, "stale"), seconds(f, "grace"), f.Text("then"), seconds(f, "dead_after")
	t.Entitlements = entitlements(f, "entitlements")
	return t
}

// policyFields maps what the operation calls fields to what the form does.
func policyFields() map[string]string {
	out := map[string]string{"seats/n": "seats", "seats/by": "by", "overage_percent": "overage", "/product_id": "product", "/code": "code", "/name": "name"}
	for _, name := range []string{"seats/n", "seats/by", "overage_percent", "duration", "updates_for", "max_version", "expired", "expiry_grace", "over_limit", "activation", "recheck", "fresh", "stale", "grace",
		"then", "dead_after", "entitlements", "type"} {
		to := name
		if other, ok := out[name]; ok {
			to = other
		}
		out["terms/"+name], out["/terms/"+name], out["/"+name] = to, to, to
	}
	return out
}

func (p *pages) newPolicy(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("New policy", ui.Link{Href: "/admin/policies", Name: "Policies"})
	f.Default("product", v.Query("product"))
	if !v.Posted() {
		fillPolicy(f, "", license.Terms{Type: "perpetual", Seats: license.Seats{N: 3, By: "device"}, Activation: "required"}.WithDefaults())
		return v.Show(newPolicyPage(frame, f, products))
	}
	r := license.CreatePolicyRequest{ProductID: f.Text("product"), Code: f.Text("code"), Name: f.Text("name"), Terms: readPolicy(f, license.Terms{})}
	if !f.OK() {
		return v.Show(newPolicyPage(frame, f, products))
	}
	out, err := p.ops.CreatePolicy.Call(v.Ctx(), r)
	if other := f.Refuse(err, policyFields()); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newPolicyPage(frame, f, products))
	}
	return v.Go("/admin/policies/"+out.ID, "good", "The policy is made. Plans can grant licenses under it by its code, "+out.Code+".")
}

func (p *pages) policy(v *site.Visit) error {
	f, id := v.Form(), v.Param("id")
	frame := v.Frame("Policy", ui.Link{Href: "/admin/policies", Name: "Policies"})
	policy, err := p.ops.Policy.Call(v.Ctx(), license.PolicyRequest{ID: id})
	if err != nil {
		return err
	}
	frame.Title = policy.Name
	change := may(v, p.ops.ChangePolicy.Spec())
	if !v.Posted() {
		fillPolicy(f, policy.Name, policy.Terms)
		f.Default("version", fmt.Sprint(policy.Version))
		return v.Show(policyPage(frame, f, policy, change))
	}
	r := license.ChangePolicyRequest{ID: id, Version: f.Int("version", 0), Name: f.Text("name"), Terms: readPolicy(f, policy.Terms)}
	if !f.OK() {
		return v.Show(policyPage(frame, f, policy, change))
	}
	_, err = p.ops.ChangePolicy.Call(v.Ctx(), r)
	if other := f.Refuse(err, policyFields()); other != nil {
		return other
	}
	if err != nil {
		return v.Show(policyPage(frame, f, policy, change))
	}
	return v.Go("/admin/policies/"+id, "good", "The policy is changed, for licenses issued from now on.")
}
