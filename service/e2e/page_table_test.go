package e2e_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/e2e/browsertest"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/web"
	pagesite "github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// visit says how a page is visited: by whom and where. A name in braces is that of a thing on the stage.
type visit struct {
	as string
	at string
	// sends is what is filled into the page's form, which is then sent: the page that is meant is the answer. Without it, nil, nothing is sent.
	sends map[string]string
	// status is what the page answers, 200 unless said; 303 is followed.
	status int
	// document is a page with a style of its own and no scripts, to be printed: a receipt.
	document bool
}

// visits are those to every page there is, by the page's pattern. A page that is not here fails TestPages_Table; one that looks
// different with something in it and without has a visit for each.
func visits() map[string][]visit {
	out := map[string][]visit{
		"/": {{at: "/nowhere", status: 404}},

		// the shop
		"GET /{$}":                      {{at: "/"}, {as: customer, at: "/"}, {as: owner, at: "/"}},
		"GET /catalogue":                {{at: "/catalogue"}, {at: "/catalogue?q=nothing+like+this"}, {at: "/catalogue?q=quill&type=perpetual"}},
		"GET /catalogue/{slug}":         {{at: "/catalogue/{slug}"}, {at: "/catalogue/{slug}?currency=USD"}},
		"GET /buy/{slug}":               {{at: "/buy/{slug}?plan=pro&currency=EUR"}, {as: customer, at: "/buy/{slug}?plan=pro&currency=EUR"}, {as: colleague, at: "/buy/{slug}?plan=pro&currency=EUR"}},
		"GET /checkout/{id}":            {{at: "/checkout/{order}"}, {as: customer, at: "/checkout/{order}"}, {as: customer, at: "/checkout/{pending-order}"}, {as: other, at: "/checkout/{order}", status: 404}},
		"GET /checkout/{id}/{document}": {{as: customer, at: "/checkout/{order}/receipt.html", document: true}},
		"GET /lost-keys":                {{at: "/lost-keys"}},

		// signing in
		"GET /setup/{token}":   {{at: "/setup/used-long-ago"}},
		"GET /reset":           {{at: "/reset"}},
		"GET /reset/{token}":   {{at: "/reset/{confirm}"}},
		"GET /email/{token}":   {{at: "/email/used-long-ago"}},
		"GET /sign-up":         {{at: "/sign-up"}},
		"GET /sign-in":         {{at: "/sign-in?next=/account"}, {at: "/sign-in?next=/account", sends: map[string]string{"email": stageEmail(careful), "password": password}}},
		"GET /sign-in/again":   {{as: customer, at: "/sign-in/again?next=/account"}, {as: owner, at: "/sign-in/again?next=/admin"}},
		"GET /confirm/{token}": {{at: "/confirm/{confirm}"}},

		// a customer's own
		"GET /account":               {{as: customer, at: "/account"}, {as: other, at: "/account"}},
		"GET /account/licenses":      {{as: customer, at: "/account/licenses"}, {as: other, at: "/account/licenses"}},
		"GET /account/licenses/{id}": {{as: customer, at: "/account/licenses/{license}"}},
		"GET /account/access": {{as: customer, at: "/account/access"}, {as: customer, at: "/account/access?license={license}"}, {as: customer, at: "/account/access?key={disabled-key}"}, {as: customer, at: "/account/access?order={pending-order}"},
			{as: other, at: "/account/access"}, {as: other, at: "/account/access?product=quill"}, {as: other, at: "/account/access?license={license}", status: 404}},
		"GET /account/licenses/{id}/history":                  {{as: customer, at: "/account/licenses/{license}/history"}, {as: other, at: "/account/licenses/{license}/history", status: 404}},
		"GET /account/licenses/{id}/token":                    {{as: other, at: "/account/licenses/{license}/token", status: 404}},
		"GET /account/licenses/{id}/offline":                  {{as: customer, at: "/account/licenses/{license}/offline"}, {as: other, at: "/account/licenses/{license}/offline", status: 404}},
		"GET /account/licenses/{id}/offline/{device}":         {{as: other, at: "/account/licenses/{license}/offline/{activation}", status: 404}},
		"GET /admin/licenses/{id}/offline":                    {{as: owner, at: "/admin/licenses/{license}/offline"}},
		"GET /admin/licenses/{id}/offline/{device}":           {{as: owner, at: "/admin/licenses/{license}/offline/{activation}", status: 404}},
		"GET /account/licenses/{id}/devices/{device}/release": {{as: customer, at: "/account/licenses/{license}/devices/{activation}/release"}},
		"GET /account/keys":                                   {{as: customer, at: "/account/keys"}, {as: other, at: "/account/keys"}},
		"GET /account/keys/new":                               {{as: customer, at: "/account/keys/new"}, {as: other, at: "/account/keys/new"}},
		"GET /account/keys/{id}":                              {{as: customer, at: "/account/keys/{key}"}, {as: customer, at: "/account/keys/{disabled-key}"}, {as: customer, at: "/account/keys/{counting-key}"}},
		"GET /account/keys/{id}/rotate":                       {{as: customer, at: "/account/keys/{key}/rotate"}},
		"GET /account/keys/{id}/revoke":                       {{as: customer, at: "/account/keys/{key}/revoke"}},
		"GET /account/orders":                                 {{as: customer, at: "/account/orders"}, {as: other, at: "/account/orders"}},
		"GET /account/orders/{id}":                            {{as: customer, at: "/account/orders/{order}"}, {as: customer, at: "/account/orders/{pending-order}"}},
		"GET /account/downloads":                              {{as: customer, at: "/account/downloads"}, {as: other, at: "/account/downloads"}},

		// help
		"GET /support":                  {{at: "/support"}, {at: "/support?q=device"}, {at: "/support?q=nothing+like+this"}, {as: owner, at: "/support"}},
		"GET /support/faq/{slug}":       {{at: "/support/faq/{article-slug}"}},
		"GET /support/new":              {{at: "/support/new"}, {as: customer, at: "/support/new?order={order}"}},
		"GET /tickets/{id}":             {{as: customer, at: "/tickets/{ticket}"}, {as: other, at: "/tickets/{ticket}", status: 404}, {at: "/tickets/{ticket}", status: 303}, {as: owner, at: "/tickets/{ticket}", status: 303}},
		"GET /account/tickets":          {{as: customer, at: "/account/tickets"}, {as: other, at: "/account/tickets"}},
		"GET /admin/tickets":            {{as: owner, at: "/admin/tickets"}, {as: owner, at: "/admin/tickets?status=closed"}},
		"GET /admin/tickets/{id}":       {{as: owner, at: "/admin/tickets/{ticket}"}, {as: owner, at: "/admin/tickets/{ticket}?canned={canned}"}},
		"GET /admin/faq":                {{as: owner, at: "/admin/faq"}},
		"GET /admin/faq/{id}":           {{as: owner, at: "/admin/faq/{article}"}, {as: owner, at: "/admin/faq/new"}},
		"GET /admin/faq/{id}/remove":    {{as: owner, at: "/admin/faq/{article}/remove"}},
		"GET /admin/canned":             {{as: owner, at: "/admin/canned"}},
		"GET /admin/canned/{id}":        {{as: owner, at: "/admin/canned/{canned}"}, {as: owner, at: "/admin/canned/new"}},
		"GET /admin/canned/{id}/remove": {{as: owner, at: "/admin/canned/{canned}/remove"}},

		// settings
		"GET /account/settings":              {{as: customer, at: "/account/settings"}},
		"GET /account/settings/name":         {{as: customer, at: "/account/settings/name"}},
		"GET /account/settings/email":        {{as: customer, at: "/account/settings/email"}},
		"GET /account/settings/password":     {{as: customer, at: "/account/settings/password"}},
		"GET /account/settings/two-step":     {{as: customer, at: "/account/settings/two-step"}, {as: customer, at: "/account/settings/two-step", sends: map[string]string{}}},
		"GET /account/settings/data":         {{as: customer, at: "/account/settings/data"}},
		"GET /account/settings/erase":        {{as: customer, at: "/account/settings/erase"}},
		"GET /account/settings/two-step/off": {{as: customer, at: "/account/settings/two-step/off"}},
		"GET /admin/settings":                {{as: owner, at: "/admin/settings"}},
		"GET /admin/settings/name":           {{as: owner, at: "/admin/settings/name"}},
		"GET /admin/settings/email":          {{as: owner, at: "/admin/settings/email"}},
		"GET /admin/settings/password":       {{as: owner, at: "/admin/settings/password"}},
		"GET /admin/settings/two-step":       {{as: owner, at: "/admin/settings/two-step"}, {as: owner, at: "/admin/settings/two-step", sends: map[string]string{}}},
		"GET /admin/settings/two-step/off":   {{as: owner, at: "/admin/settings/two-step/off"}},

		// the documentation
		"GET /docs/api":       {{at: "/docs/api"}, {at: "/docs/api?q=zebra+crossing"}},
		"GET /docs/api/{tag}": {{at: "/docs/api/checkout"}, {at: "/docs/api/api-keys"}, {at: "/docs/api/key-verification"}, {at: "/docs/api/catalogue"}, {at: "/docs/api/nothing", status: 404}},
		"GET /docs/{$}":       {{at: "/docs/", status: 303}},
		"GET /docs/{name}":    {{at: "/docs/start"}, {at: "/docs/selling"}, {at: "/docs/sdk"}, {at: "/docs/offline"}, {at: "/docs/licenses"}, {at: "/docs/import"}, {at: "/docs/operations"}, {at: "/docs/storefront"}, {at: "/docs/accounts"}, {at: "/docs/support"}, {at: "/docs/switches"}, {at: "/docs/keys"}, {at: "/docs/protect"}, {at: "/docs/usage"}, {at: "/docs/webhooks"}},

		// organisations
		"GET /account/organisation":                                {{as: customer, at: "/account/organisation"}, {as: other, at: "/account/organisation"}, {as: colleague, at: "/account/organisation"}},
		"GET /account/organisation/new":                            {{as: other, at: "/account/organisation/new"}},
		"GET /account/organisation/{id}":                           {{as: customer, at: "/account/organisation/{organisation}"}, {as: colleague, at: "/account/organisation/{organisation}"}, {as: other, at: "/account/organisation/{organisation}", status: 404}},
		"GET /account/organisation/{id}/edit":                      {{as: customer, at: "/account/organisation/{organisation}/edit"}},
		"GET /account/organisation/{id}/invite":                    {{as: customer, at: "/account/organisation/{organisation}/invite"}},
		"GET /account/organisation/{id}/leave":                     {{as: colleague, at: "/account/organisation/{organisation}/leave"}},
		"GET /account/organisation/{id}/delete":                    {{as: customer, at: "/account/organisation/{organisation}/delete"}},
		"GET /account/organisation/{id}/members/{member}":          {{as: customer, at: "/account/organisation/{organisation}/members/{member}"}},
		"GET /account/organisation/{id}/members/{member}/remove":   {{as: customer, at: "/account/organisation/{organisation}/members/{member}/remove"}},
		"GET /account/organisation/{id}/invites/{invite}/withdraw": {{as: customer, at: "/account/organisation/{organisation}/invites/{invite}/withdraw"}},
		"GET /invite/{token}":                                      {{at: "/invite/{invite-token}"}, {as: other, at: "/invite/{invite-token}"}, {as: owner, at: "/invite/{invite-token}"}, {as: invited, at: "/invite/{open-invite}"}, {at: "/invite/used-long-ago", status: 410}},
	}
	maps.Copy(out, consoleVisits())
	maps.Copy(out, licenseVisits())
	maps.Copy(out, usageVisits())
	return out
}

// notPages are mounts that serve no page.
var notPages = []string{"GET /tickets/{id}/files/{file}", "GET /assets/{name}", "GET /favicon.ico",
	"GET /admin/audit.csv", "GET /account/usage/{id}/{meter}/usage.csv", "GET /admin/usage/{id}/{meter}/usage.csv", "GET /admin/orders/{id}/receipt/{format}", "GET /admin/orders/{id}/credit-notes/{number}"}

// mounts are the patterns of everything that package web serves.
func mounts(t testing.TB) []string {
	t.Helper()
	s, err := pagesite.New(pagesite.Config{Shop: ui.Shopfront{Name: "Shop"}, BaseURL: "http://shop.example", Key: make([]byte, 32), Routes: httpapi.Routes(httpapi.Services{})})
	if err != nil {
		t.Fatal(err)
	}
	all, err := web.Pages(s)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range all {
		if !slices.Contains(notPages, m.Pattern) {
			out = append(out, m.Pattern)
		}
	}
	slices.Sort(out)
	return out
}

var named = regexp.MustCompile(`\{([a-z-]+)\}`)

// address is where a visit goes on the stage.
func (s *stage) address(t testing.TB, at string) string {
	t.Helper()
	return named.ReplaceAllStringFunc(at, func(name string) string {
		id := s.ids[strings.Trim(name, "{}")]
		if id == "" {
			t.Fatalf("%s: there is no %s on the stage", at, name)
		}
		return id
	})
}

// sent is the form of a page that a visit sends, which is the first of its own.
func (v visit) sent(t testing.TB, text, at string) form {
	t.Helper()
	for _, f := range forms(t, text, at) {
		if f.action != "/sign-out" && f.action != "/account/acting" {
			return f
		}
	}
	t.Fatalf("%s has no form to send", at)
	return form{}
}

// open makes a visit as a browser without a window.
func (s *stage) open(t testing.TB, c *caller, v visit) page {
	t.Helper()
	at := s.address(t, v.at)
	p := c.get(t, at)
	if v.sends == nil {
		return p
	}
	f := v.sent(t, p.text, at)
	return c.fill(t, f, f.values(func(d field) string {
		if text, ok := v.sends[d.name]; ok {
			return text
		}
		return d.value
	}))
}

// enter makes a visit in the browser.
func (v visit) enter(t testing.TB, p *browsertest.Page, at string) {
	t.Helper()
	p.Visit(t, at)
	if v.sends == nil {
		return
	}
	for name, text := range v.sends {
		p.Fill(t, `main [name="`+name+`"]`, text)
	}
	p.Submit(t, submit)
}

// TestPages_Table: every page there is has a visit in the table, so that the tests of this file look at it, and nothing else has.
func TestPages_Table(t *testing.T) {
	t.Parallel()
	table, there := visits(), mounts(t)
	for _, pattern := range there {
		if strings.HasPrefix(pattern, "POST ") {
			continue // found by their forms: TestForms_EveryPost
		}
		if len(table[pattern]) == 0 {
			t.Errorf("%q has no visit; add one to visits()", pattern)
		}
	}
	for pattern := range table {
		if !slices.Contains(there, pattern) {
			t.Errorf("%q is visited and is no page", pattern)
		}
	}
	if len(there) < 15 {
		t.Errorf("there are %d pages only: %q", len(there), there)
	}
}
