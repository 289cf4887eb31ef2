package admin

import (
	"net/http"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) keyPages() []site.Page {
	back := to("/admin/keys/{id}", "API key")
	request := func(id, reason string) apikey.RevokeRequest { return apikey.RevokeRequest{ID: id, Reason: reason} }
	out := append([]site.Page{get("keys", "/admin/keys", p.keys), get("key", "/admin/keys/{id}", p.key)}, both("key_issue", "/admin/keys/new", p.issueKey)...)
	out = append(out, p.keyImportPages()...)
	out = append(out, both("key_act", "/admin/keys/act", p.actKeys)...)
	out = append(out, both("key_try", "/admin/keys/try", p.tryKey)...)
	out = append(out, both("key_limits", "/admin/keys/{id}/limits", p.keyLimits)...)
	out = append(out, both("key_rotate", "/admin/keys/{id}/rotate", p.rotateKey)...)
	return append(out, p.asked(
		action{name: "key_revoke", path: "/admin/keys/{id}/revoke", spec: p.ops.RevokeKey.Spec(), back: back,
			title: "Revoke the API key", button: "Revoke it for good", done: "The key is revoked.",
			what: "This cannot be undone. Both of its secrets are refused everywhere within two seconds.",
			do:   plain(func() op[apikey.RevokeRequest, apikey.RevokeResponse] { return p.ops.RevokeKey }, request)},
		action{name: "key_disable", path: "/admin/keys/{id}/disable", spec: p.ops.DisableKey.Spec(), back: back,
			title: "Disable the API key", button: "Disable it", done: "The key is disabled.",
			what: "It is refused everywhere within two seconds, until it is enabled again.",
			do:   plain(func() op[apikey.RevokeRequest, apikey.RevokeResponse] { return p.ops.DisableKey }, request)},
		action{name: "key_enable", path: "/admin/keys/{id}/enable", spec: p.ops.EnableKey.Spec(), calm: true, back: back,
			title: "Enable the API key", button: "Enable it", done: "The key works again.",
			what: "It is accepted again as before.",
			do:   plain(func() op[apikey.RevokeRequest, apikey.RevokeResponse] { return p.ops.EnableKey }, request)},
		action{name: "reservation_release", path: "/admin/keys/{id}/reservations/{reservation}/release", spec: p.ops.ReleaseHold.Spec(), back: back,
			title: "Release the reservation", button: "Release it", done: "The reservation is released; all of it came back.",
			what: "All that it holds of limits and credits comes back at once. Work that still goes on under it cannot be settled any more, so it will have cost nothing.",
			do: func(v *site.Visit, _, reason string) (templ.Component, error) {
				_, err := p.ops.ReleaseHold.Call(v.Ctx(), apikey.ReleaseRequest{ID: v.Param("reservation"), Reason: reason})
				return nil, err
			}})...)
}

// keysMay is what the visitor of the list of keys may do.
type keysMay struct{ issue, try, act, bring bool }

func (p *pages) keys(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	list, err := p.ops.Keys.Call(v.Ctx(), apikey.ListRequest{Page: page(v, 25), Query: v.Query("q"), Product: pick(v, "product", productChoices("", products)), Owner: licensing.Owner(v.Query("owner")),
		Plan: v.Query("plan"), Env: licensing.Env(pick(v, "env", envs())), State: apikey.State(pick(v, "state", keyStates())), Member: v.Query("member"), Name: v.Query("name")})
	if err != nil {
		return err
	}
	return v.Show(keysPage(v.Frame("API keys"), v.Filter(), list, products, next(v, list.Next), filtered(v), keysMay{issue: may(v, p.ops.IssueKey.Spec()), try: may(v, p.ops.VerifyKey.Spec()), act: may(v, p.ops.ActKeys.Spec()), bring: may(v, p.ops.ImportKeys.Spec())}))
}

func (p *pages) key(v *site.Visit) error {
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	held, err := p.ops.Reservations.Call(v.Ctx(), apikey.HoldsRequest{Key: k.ID, Page: page(v, 20)})
	if err != nil {
		return err
	}
	return v.Show(keyPage(v.Frame("API key "+ui.Short(k.ID), ui.Link{Href: "/admin/keys", Name: "API keys"}), k, held.Items, next(v, held.Next), may(v, p.ops.RotateKey.Spec())))
}

// overlaps are how long an old secret works on.
func overlaps() []ui.Option {
	return []ui.Option{{Value: "86400", Name: "For a day"}, {Value: "3600", Name: "For an hour"}, {Value: "604800", Name: "For a week"}, {Value: "0", Name: "Not at all"}}
}

func (p *pages) issueKey(v *site.Visit) error {
	if err := v.Ready(p.ops.IssueKey.Spec()); err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/keys", Name: "API keys"}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f.Default("owner", v.Query("owner"))
	f.Default("env", string(licensing.Live))
	f.Default("seconds", "60")
	frame := v.Frame("Issue an API key", back)
	if !v.Posted() {
		return v.Show(issueKeyPage(frame, f, products))
	}
	holder, err := p.findOwner(v, f, "owner")
	if err != nil {
		return err
	}
	r := apikey.CreateRequest{Owner: licensing.Owner(holder), Product: f.Text("product"), Env: licensing.Env(f.Text("env")), Name: f.Text("name"), Scopes: words(f.Get("scopes")),
		AllowFrom: words(f.Get("allow_from")), ExpiresAt: date(f, "expires_at")}
	if n := f.Int("count", 0); n != 0 {
		r.Limits = []apikey.Limit{{Name: "calls", Count: n, Seconds: f.Int("seconds", 60)}}
	}
	if f.Text("owner") == "" {
		f.Wrong("owner", "must be a customer's e-mail address, or the id of a customer or organisation")
	}
	if !f.OK() {
		return v.Show(issueKeyPage(frame, f, products))
	}
	out, err := p.ops.IssueKey.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/limits": "count", "limits": "count"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(issueKeyPage(frame, f, products))
	}
	to := ui.Link{Href: "/admin/keys/" + out.Key.ID, Name: "API key"}
	return v.Render(http.StatusOK, oncePage(v.Frame("New API key", to), "New API key", "Send it to its owner by a safe way. It works at once.", "API key", out.Secret, to))
}

func (p *pages) rotateKey(v *site.Visit) error {
	if err := v.Ready(p.ops.RotateKey.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	back := ui.Link{Href: "/admin/keys/" + id, Name: "API key"}
	frame := v.Frame("Give the key a new secret", back)
	f.Default("overlap", "86400")
	if !v.Posted() {
		return v.Show(rotatePage(frame, f, back))
	}
	overlap := f.Int("overlap", 86400)
	out, err := p.ops.RotateKey.Call(v.Ctx(), apikey.RotateRequest{ID: id, Overlap: &overlap})
	if other := f.Refuse(err, map[string]string{"/overlap_seconds": "overlap"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(rotatePage(frame, f, back))
	}
	var answer templ.Component = oncePage(v.Frame("New secret", back), "New secret", "The old one works on for as long as you chose. Limits and counters stay.", "API key", out.Secret, back)
	return v.Render(http.StatusOK, answer)
}
