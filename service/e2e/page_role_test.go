package e2e_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

var (
	consoleLink = regexp.MustCompile(`href="(/admin[^"#]*)"`)
	anyID       = regexp.MustCompile(`[a-z]+_[0-9a-f]{32}`)
)

// TestConsole_LeadsNobodyAstray: whatever the role, no link on a page of the console that somebody may see, those that ask before something
// is done among them, leads to a page that refuses them; and the owner is led everywhere that the navigation knows.
func TestConsole_LeadsNobodyAstray(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, role := range []string{"admin", "support", "finance", "catalogue", "auditor"} {
		s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail(role), "role": role, "password": password}, nil)
		s.tokens[role] = s.signIn(t, role)
		c, seen, from := s.as(t, role), 0, map[string]string{}
		for _, pattern := range slices.Sorted(maps.Keys(visits())) {
			if !strings.HasPrefix(pattern, "GET /admin") {
				continue
			}
			shown := false
			for _, v := range visits()[pattern] {
				at := s.address(t, v.at)
				p := c.get(t, at)
				if p.status != http.StatusOK {
					continue
				}
				shown = true
				for _, m := range consoleLink.FindAllStringSubmatch(p.text, -1) {
					to := strings.ReplaceAll(m[1], "&amp;", "&")
					if shape := anyID.ReplaceAllString(to, "*"); from[shape] == "" {
						from[shape] = at
						if answer := c.get(t, to); answer.status == http.StatusForbidden {
							t.Errorf("%s is led from %s to %s, and refused there", role, at, to)
						}
					}
				}
			}
			if shown {
				seen++
			}
		}
		if seen < 15 {
			t.Errorf("%s sees %d pages only", role, seen)
		}
	}
	whole, led := s.as(t, owner).get(t, "/admin").text, 0
	for _, pattern := range mounts(t) {
		at, ok := strings.CutPrefix(pattern, "GET /admin/")
		if !ok || strings.ContainsAny(at, "/{") || at == "canned" { // to the canned replies leads the page of tickets
			continue
		}
		if led++; !strings.Contains(whole, `href="/admin/`+at+`"`) {
			t.Errorf("the owner is not led to /admin/%s", at)
		}
	}
	if led < 20 {
		t.Errorf("there are %d pages only to lead the owner to", led)
	}
}

// accountLink is a link to a page of the account.
var accountLink = regexp.MustCompile(`href="(/account[^"#]*)"`)

// TestAccount_LeadsMembersToNoForm: a member of an organisation sees what it owns, and no link to a form that its admins alone may send; whoever
// goes there all the same is told so before typing anything.
func TestAccount_LeadsMembersToNoForm(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var license struct{ ID, Key string }
	s.must(t, http.MethodPost, "/v1/licenses", object{"policy": s.ids["policy"], "plan": "pro", "env": "test", "owner": s.ids["organisation"], "licensee": "Møller", "reason": "for the stage", "reference": "shared"}, &license)
	s.uses(t, license.Key, "A shared desk", "")
	var key struct{ Key struct{ ID string } }
	s.must(t, http.MethodPost, "/v1/keys", object{"product": s.ids["product"], "owner": s.ids["organisation"], "env": "test", "name": "Its own"}, &key)
	c, todo, from := s.as(t, colleague), []string{"/account"}, map[string]string{"/account": "nowhere"}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		p := c.get(t, at)
		if p.status == http.StatusForbidden {
			t.Errorf("a member is led from %s to %s, and refused there", from[anyID.ReplaceAllString(at, "*")], at)
		}
		for _, m := range accountLink.FindAllStringSubmatch(p.text, -1) {
			to := strings.ReplaceAll(m[1], "&amp;", "&")
			if shape := anyID.ReplaceAllString(to, "*"); from[shape] == "" {
				from[shape] = at
				todo = append(todo, to)
			}
		}
	}
	for _, shape := range []string{"/account/licenses/*", "/account/keys/*", "/account/licenses/*/history"} {
		if from[shape] == "" {
			t.Errorf("a member is not led to %s", shape)
		}
	}
	for _, at := range []string{"/account/keys/" + key.Key.ID + "/rotate", "/account/keys/" + key.Key.ID + "/revoke"} {
		c.get(t, at).shows(t, "a form of admins", http.StatusForbidden, "Ask one of its admins")
	}
}

// TestConsole_ImportLeadsOn: a founder without a file begins with the example, and each page leads to the next until the shop sells what it
// describes: the policy that its plans name, the plan, the product.
func TestConsole_ImportLeadsOn(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{})
	s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail(owner), "role": "owner", "password": password}, nil)
	s.tokens[owner] = s.signIn(t, owner)
	c := s.as(t, owner)
	follow := func(from page, name string) string {
		t.Helper()
		m := regexp.MustCompile(`<a[^>]* href="([^"]+)"[^>]*>` + regexp.QuoteMeta(name) + `</a>`).FindStringSubmatch(from.text)
		if m == nil {
			t.Fatalf("nothing leads to %q from: %s", name, mainText(from.text))
		}
		return strings.ReplaceAll(m[1], "&amp;", "&")
	}
	at := follow(c.get(t, "/admin/import"), "Begin with an example")
	f := (visit{}).sent(t, c.get(t, at).text, at)
	tried := c.fill(t, f, f.values(func(d field) string { return d.value }))
	tried.shows(t, "the trial of the example", http.StatusOK, "Tried, nothing kept yet: 7 new")
	f = (visit{}).sent(t, tried.text, at)
	c.fill(t, f, f.values(func(d field) string { return d.value })).shows(t, "the import of the example", http.StatusOK, "7 new", "drafts")
	product := follow(c.get(t, "/admin/products"), "My App")
	at = follow(c.get(t, product), "Make the policy standard")
	if plan := c.get(t, follow(c.get(t, product), "Solo")); follow(plan, "Make the policy standard") != at {
		t.Error("the plan leads to another policy")
	}
	f = (visit{}).sent(t, c.get(t, at).text, at)
	if back := c.fill(t, f, f.values(func(d field) string { return d.value })).done(t, "the policy"); back != product {
		t.Errorf("the policy leads to %s", back)
	}
	at = follow(c.get(t, product), "Look at the plan Solo and publish it")
	c.send(t, follow(c.get(t, at), "Publish"), url.Values{}).done(t, "the plan's publication")
	c.send(t, follow(c.get(t, product), "Put it on sale"), url.Values{}).done(t, "the product's publication")
	newCaller(t, s.url).get(t, "/catalogue/my-app").shows(t, "the shop", http.StatusOK, "Solo", "29.00 EUR")
}
