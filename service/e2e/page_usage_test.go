package e2e_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit/limittest"
)

// usageVisits are those to the pages of usage.
func usageVisits() map[string][]visit {
	return map[string][]visit{
		"GET /account/usage":                  {{as: customer, at: "/account/usage"}, {as: other, at: "/account/usage"}},
		"GET /admin/customers/{id}/usage":     {{as: owner, at: "/admin/customers/{customer}/usage"}, {as: owner, at: "/admin/customers/{owner}/usage"}},
		"GET /admin/organisations/{id}/usage": {{as: owner, at: "/admin/organisations/{organisation}/usage"}},
		"GET /account/usage/{id}": {{as: customer, at: "/account/usage/{metered}"}, {as: customer, at: "/account/usage/{counting-key}"}, {as: customer, at: "/account/usage/{key}"},
			{as: other, at: "/account/usage/{metered}", status: 404}, {as: customer, at: "/account/usage/{product}", status: 404}},
		"GET /account/usage/{id}/{meter}": {{as: customer, at: "/account/usage/{counting-key}/pages.rendered"}, {as: customer, at: "/account/usage/{counting-key}/pages.rendered?time=year&zone=Asia/Kathmandu"},
			{as: customer, at: "/account/usage/{counting-key}/pages.rendered?by=subject"}, {as: customer, at: "/account/usage/{counting-key}/renderers?time=week"}, {as: customer, at: "/account/usage/{counting-key}/nothing?zone=Nowhere"},
			{as: other, at: "/account/usage/{counting-key}/pages.rendered", status: 404}},
		"GET /account/usage/{id}/{meter}/alerts": {{as: customer, at: "/account/usage/{metered}/pages.rendered/alerts"}, {as: customer, at: "/account/usage/{metered}/exports/alerts"}, {as: customer, at: "/account/usage/{metered}/nothing/alerts", status: 404},
			{as: customer, at: "/account/usage/{counting-key}/pages.rendered/alerts", status: 404}, {as: other, at: "/account/usage/{metered}/pages.rendered/alerts", status: 404}},
		"GET /admin/usage/{id}/{meter}/alerts": {{as: owner, at: "/admin/usage/{metered}/pages.rendered/alerts"}},
		"GET /admin/meters":                    {{as: owner, at: "/admin/meters"}},
		"GET /admin/meters/new":                {{as: owner, at: "/admin/meters/new?product={product}"}, {as: owner, at: "/admin/meters/new", sends: map[string]string{"code": "Not a code", "name": "Exports"}, status: 422}},
		"GET /admin/meters/{id}":               {{as: owner, at: "/admin/meters/{meter}"}},
		"GET /admin/usage":                     {{as: owner, at: "/admin/usage"}},
		"GET /admin/usage/{id}":                {{as: owner, at: "/admin/usage/{product}?env=test"}, {as: owner, at: "/admin/usage/{draft-product}"}, {as: owner, at: "/admin/usage/{metered}"}},
		"GET /admin/usage/{id}/{meter}": {{as: owner, at: "/admin/usage/{product}/pages.rendered?env=test"}, {as: owner, at: "/admin/usage/{product}/pages.rendered?env=test&by=carrier"},
			{as: owner, at: "/admin/usage/{counting-key}/pages.rendered?by=group"}},
	}
}

// plantUsage gives the customer a license with quotas, nearly used up, and an API key that reports a month of events.
func (s *stage) plantUsage(t testing.TB) {
	t.Helper()
	s.made(t, "meter", "/v1/meters", object{"product_id": s.ids["product"], "code": "pages.rendered", "name": "Pages rendered", "kind": "sum", "unit": "pages", "event": "rendered", "value": "pages", "group": "region"})
	s.made(t, "unique-meter", "/v1/meters", object{"product_id": s.ids["product"], "code": "renderers", "name": "People who render", "kind": "unique", "unit": "people", "event": "rendered", "value": "who"})
	policy := s.made(t, "metered-policy", "/v1/policies", object{"product_id": s.ids["product"], "code": "metered", "name": "Metered", "terms": object{"type": "perpetual", "seats": object{"n": 1, "by": "device"}, "activation": "required",
		"meters": object{"pages.rendered": object{"quota": 1000, "period": "year"}, "exports": object{"quota": 5, "period": "term"}}}})
	var out struct{ ID, Key, Secret string }
	s.must(t, http.MethodPost, "/v1/licenses", object{"policy": policy, "plan": "metered", "env": "test", "owner": s.ids[customer], "licensee": "Ada", "reason": "for the stage", "reference": "metered"}, &out)
	s.ids["metered"] = out.ID
	client := s.uses(t, out.Key, "Printer", "")
	if err := client.Report("pages.rendered", 850); err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var key struct {
		Key    struct{ ID string }
		Secret string
	}
	s.must(t, http.MethodPost, "/v1/keys", object{"product": s.ids["product"], "owner": s.ids[customer], "env": "test", "name": "Counting", "scopes": []string{"usage:write"}}, &key)
	s.ids["counting-key"] = key.Key.ID
	var held struct{ Reservation struct{ ID string } }
	s.must(t, http.MethodPost, "/v1/keys/reserve", object{"key": key.Secret, "cost": 500, "seconds": 86400}, &held)
	s.ids["reservation"] = held.Reservation.ID
	var events []object
	now := time.Now()
	for day := range 28 {
		for i, who := range []string{"ada", "brian", "grace"}[:1+day%3] {
			events = append(events, object{"specversion": "1.0", "id": fmt.Sprintf("%d-%s", day, who), "source": "/render", "type": "rendered", "subject": who, "time": now.Add(-time.Duration(day) * 24 * time.Hour).Format(time.RFC3339),
				"data": object{"pages": 10 + day*7%30 + 20*i, "who": who, "region": []string{"eu", "us"}[i%2]}})
		}
	}
	status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/usage/events", http.Header{"Authorization": {"Bearer " + key.Secret}}, object{"events": events})
	if err != nil || status != http.StatusOK {
		t.Fatalf("the events: %d %s (%v)", status, text, err)
	}
}

// told waits until the owner was told of what is used of the quota that the stage planted, which pages then say.
func (s *stage) told(t testing.TB) {
	t.Helper()
	c, at := s.as(t, customer), "/account/usage/"+s.ids["metered"]+"/pages.rendered/alerts"
	if !limittest.Eventually(3*time.Minute, func() bool { return strings.Count(c.get(t, at).text, "Told ") == 2 }) {
		t.Fatal("the page never says that parts were reached")
	}
}

// TestAlertPages: the owner of a license and staff see at which parts of a quota is told and what was reached, and set, change and remove them;
// another sees and sets nothing.
func TestAlertPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	page := "/usage/" + s.ids["metered"] + "/pages.rendered/alerts"
	c.get(t, "/account/usage/"+s.ids["metered"]).shows(t, "the license's usage", 200, "told at 50, 80, 100", "/account"+page)
	s.told(t)
	c.get(t, "/account"+page).shows(t, "the alerts", 200, "850", "Reached", "Not told yet in this period", `value="50, 80, 100"`)
	o.get(t, "/account"+page).shows(t, "another's alerts", 404)
	for _, step := range []struct {
		who  *caller
		at   string
		form url.Values
		says string
	}{{c, "/account", url.Values{"percents": {"90, 40 %"}}, "told at 40, 90"}, {b, "/admin", url.Values{"percents": {"70"}}, "told at 70"}, {c, "/account", url.Values{"none": {"yes"}}, "Nobody is told"}} {
		step.who.send(t, step.at+page, step.form).done(t, "alerts "+step.says)
		step.who.get(t, step.at+"/usage/"+s.ids["metered"]).shows(t, "the usage", 200, step.says)
	}
	c.send(t, "/account"+page, url.Values{"percents": {"half"}}).shows(t, "no number", 422, "whole numbers")
}

// TestUsagePages: customers see what their licenses and keys used, with quotas, over time, by subject and as a file, staff that of products
// as well, and nobody that of another.
func TestUsagePages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	c.get(t, "/account/licenses/"+s.ids["metered"]).shows(t, "the license", 200, "/account/usage/"+s.ids["metered"])
	c.get(t, "/account/usage/"+s.ids["metered"]).shows(t, "the license's usage", 200, "Nearly used up", "850", "1\u202f000", "(85\u00a0%)", "for the whole term", "Pages rendered")
	at := "/account/usage/" + s.ids["counting-key"]
	c.get(t, "/account/keys/"+s.ids["counting-key"]).shows(t, "the key", 200, at)
	c.get(t, at).shows(t, "the key's usage", 200, "People who render", "This month")
	c.get(t, at+"/pages.rendered").shows(t, "the chart", 200, "<rect", "In all", "As a list", "in 55 events", "Download as CSV")
	c.get(t, at+"/pages.rendered?by=subject").shows(t, "by subject", 200, "brian", "grace", "3 of 3")
	c.get(t, at+"/pages.rendered?zone=Nowhere").shows(t, "a zone that is none", 200, "Must be a time zone", `value="Nowhere"`)
	o.get(t, at+"/pages.rendered/usage.csv").shows(t, "another's file", 404)
	file := c.get(t, at+"/pages.rendered/usage.csv")
	rows, err := csv.NewReader(strings.NewReader(file.text)).ReadAll()
	if err != nil || file.status != 200 || len(rows) < 28 || rows[0][0] != "starts" || !strings.Contains(file.header.Get("Content-Disposition"), "pages.rendered-") {
		t.Errorf("the file: %d, %d rows, %v", file.status, len(rows), err)
	}
	b.get(t, "/admin/usage").shows(t, "the products", 200, "/admin/usage/"+s.ids["product"]+"?env=test")
	b.get(t, "/admin/usage/"+s.ids["product"]+"/pages.rendered?env=test&by=carrier").shows(t, "who used most", 200, "/admin/usage/"+s.ids["counting-key"], "/admin/usage/"+s.ids["metered"], "2 of 2")
	b.get(t, "/admin/usage/"+s.ids["product"]).shows(t, "live usage", 200, "Pages rendered")
}

// TestMeterPages: staff define a meter and change what may change of it, each once and never over another's change; a customer finds no such page.
func TestMeterPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.as(t, owner)
	b.get(t, "/admin/meters").shows(t, "the meters", 200, "Pages rendered", "pages.rendered", "Sum", "/admin/meters/"+s.ids["meter"])
	b.send(t, "/admin/meters/new", url.Values{"product": {s.ids["product"]}, "code": {"Not a code"}, "kind": {"sum"}, "name": {"Exports"}}).shows(t, "a code that is none", 422, "Must be 1 to 64 of a-z")
	b.send(t, "/admin/meters/new", url.Values{"product": {s.ids["product"]}, "code": {"pages.rendered"}, "kind": {"sum"}, "name": {"Pages"}}).shows(t, "a code that is taken", 422, "already has a meter with this code")
	b.send(t, "/admin/meters/new", url.Values{"product": {s.ids["product"]}, "code": {"colours.used"}, "kind": {"unique"}, "name": {"Colours used"}, "value": {"colour"}}).done(t, "a meter")
	b.get(t, "/admin/meters").shows(t, "both", 200, "Colours used", "Unique", "Pages rendered")
	at := "/admin/meters/" + s.ids["meter"]
	b.get(t, at).shows(t, "a meter", 200, `value="Pages rendered"`, `value="region"`)
	b.send(t, at, url.Values{"version": {"1"}, "name": {"Sheets rendered"}, "unit": {"sheet"}, "event": {"rendered"}, "value": {"pages"}, "group": {"region"}}).done(t, "a change")
	b.get(t, at).shows(t, "it is changed", 200, "Sheets rendered")
	b.send(t, at, url.Values{"version": {"1"}, "name": {"Late"}, "event": {"rendered"}, "value": {"pages"}}).shows(t, "a change of what somebody else changed", 422, "was changed meanwhile", `value="Late"`)
	s.as(t, customer).get(t, "/admin/meters").shows(t, "for a customer", 404)
}

// TestUsageOverviewPages: customers see at a glance what all their licenses and keys used in the last days, what is left of quotas and when they
// start anew, and staff see the same of a customer and of an organisation; who used nothing is told how usage gets there, and nobody sees another's.
func TestUsageOverviewPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	metered, key := s.ids["metered"], s.ids["counting-key"]
	c.get(t, "/account").shows(t, "the account", 200, `href="/account/usage"`)
	says := []string{"Nearly used up", "850\u00a0pages of 1\u202f000 used, 150 left until it starts anew on 1\u00a0Jan\u00a0", "0 of 5 used, 5 left for the whole term", "License for Ada", "Counting", "API key for Quill", "People who render",
		"<path", "at most on one day", "in 30 days"}
	c.get(t, "/account/usage").shows(t, "the customer's", 200, append(says, "/account/usage/"+metered+"/pages.rendered", "/account/usage/"+key)...)
	p := o.get(t, "/account/usage")
	p.shows(t, "another's", 200, "Nothing was counted yet", "report by themselves")
	if strings.Contains(p.text, metered) || strings.Contains(p.text, key) {
		t.Error("a customer sees what another used")
	}
	at := "/admin/customers/" + s.ids[customer]
	b.get(t, at).shows(t, "the customer in the console", 200, `href="`+at+`/usage"`)
	b.get(t, at+"/usage").shows(t, "the same for staff", 200, append(says, "/admin/usage/"+metered+"/pages.rendered", stageEmail(customer))...)
	org := "/admin/organisations/" + s.ids["organisation"]
	b.get(t, org).shows(t, "the organisation in the console", 200, `href="`+org+`/usage"`)
	b.get(t, org+"/usage").shows(t, "an organisation that used nothing", 200, "Nothing was counted yet", "usage:write")
	b.get(t, "/admin/customers/"+nothing("cus_")+"/usage").shows(t, "of nobody", 404)
	c.get(t, at+"/usage").shows(t, "the console's, for a customer", 404)
}
