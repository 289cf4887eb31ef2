package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// keyText is the whole text of an API key of tests.
var keyText = regexp.MustCompile(`mtr_test_[A-Za-z0-9_]+`)

// TestKeyPages: a customer makes a key as the plan allows, and sees its text once; staff try it, which tells of it what a product would be
// told, and change its limits with a reason that the audit trail keeps.
func TestKeyPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	c.get(t, "/account/keys").shows(t, "the keys", 200, `href="/account/keys/new"`)
	o.get(t, "/account/keys/new").shows(t, "who has no plan", 200, "No plan to make keys of")
	c.get(t, "/account/keys/new").shows(t, "the form", 200, "3 more keys", "quill:read", "600")
	b.send(t, "/admin/keys/new", url.Values{"owner": {"nobody@example.com"}, "product": {s.ids["product"]}, "name": {"By hand"}, "env": {"test"}}).shows(t, "a key for a stranger", 422, "obody has an account with this address")
	byMail := b.send(t, "/admin/keys/new", url.Values{"owner": {stageEmail(customer)}, "product": {s.ids["product"]}, "name": {"By mail"}, "env": {"test"}})
	if byMail.status != http.StatusOK || !keyText.MatchString(byMail.text) {
		t.Errorf("a key for who is named by address: %d %s", byMail.status, mainText(byMail.text))
	}
	bad := c.send(t, "/account/keys/new", url.Values{"name": {""}, "allow_from": {"nowhere"}, "ends": {"soon"}})
	bad.shows(t, "a bad form", 422, `value="nowhere"`, "Must say what the key is for", "Must be a day")
	made := c.send(t, "/account/keys/new", url.Values{"name": {"Night build"}, "scope": {"quill:read", "never:had"}, "count": {"2"}, "seconds": {"3600"}})
	key := keyText.FindString(made.text)
	if made.status != http.StatusOK || key == "" || !strings.Contains(made.text, "not shown again") {
		t.Fatalf("making a key: %d %s", made.status, mainText(made.text))
	}
	if p := c.send(t, "/account/keys/new?plan=gone&env=test", url.Values{"name": {"Lost"}}); p.status != 422 || keyText.MatchString(p.text) || !strings.Contains(p.text, "none was made") {
		t.Errorf("a key of a plan that is gone: %d %s", p.status, mainText(p.text))
	}
	if list := c.get(t, "/account/keys"); strings.Contains(list.text, "Lost") {
		t.Error("a key of a plan that is gone was made by another")
	}
	id := regexp.MustCompile(`/account/keys/(key_[0-9a-f]+)`).FindStringSubmatch(made.text)[1]
	if list := c.get(t, "/account/keys"); strings.Contains(list.text, key) {
		t.Error("the list shows the text of a key")
	}
	c.get(t, "/account/keys/"+id).shows(t, "the new key", 200, "quill:read", "600", "2 ")
	try := func(scopes string) page {
		return b.send(t, "/admin/keys/try", url.Values{"key": {key}, "cost": {"1"}, "scopes": {scopes}})
	}
	try("quill:read").shows(t, "a good use", 200, "VALID", "1 left of 2", "/admin/keys/"+id)
	try("quill:write").shows(t, "a use that it is not for", 200, "INSUFFICIENT_SCOPE", "lacks a scope")
	if p := try("quill:read"); strings.Contains(p.text, key) {
		t.Error("the page shows the key that was typed")
	}
	try("quill:read").shows(t, "one use too many", 200, "RATE_LIMITED", "Wait")
	b.send(t, "/admin/keys/try", url.Values{"key": {""}, "cost": {"1"}}).shows(t, "no key", 422, "Must be the whole text")
	at := "/admin/keys/" + id
	b.get(t, at).shows(t, "the key", 200, at+"/limits")
	limits := func() (out string) {
		var k struct{ Limits []map[string]any }
		s.must(t, http.MethodGet, "/v1/keys/"+id, nil, &k)
		for _, l := range k.Limits {
			out += fmt.Sprint(l["name"], " ", l["count"], "/", l["seconds"], " ")
		}
		return strings.TrimSpace(out)
	}
	change := func(was, own, plan, reason string) page {
		return b.send(t, at+"/limits", url.Values{"was": {was}, "count-own": {own}, "count-plan": {plan}, "reason": {reason}})
	}
	form := b.get(t, at+"/limits")
	form.shows(t, "the limits", 200, `name="count-own"`, `value="2"`, `name="count-plan"`, `value="600"`)
	was := regexp.MustCompile(`name="was" value="([0-9a-f]+)"`).FindStringSubmatch(form.text)[1]
	before := limits()
	change(was, "5", "5", "").shows(t, "no reason", 422, "Say why", `value="5"`)
	change(was, "0", "600", "none at all").shows(t, "a limit of nothing", 422, "Must be at least 1")
	if now := limits(); now != before || before != "plan 600/60 own 2/3600" {
		t.Fatalf("a form that was refused changed the limits from %s to %s", before, now)
	}
	if p := change(was, "50", "", "they grow"); p.status != http.StatusSeeOther {
		t.Fatalf("changing the limits: %d %s", p.status, mainText(p.text))
	}
	if now := limits(); now != "own 50/3600" {
		t.Errorf("the limits are %s", now)
	}
	change(was, "70", "", "of before").shows(t, "a form of before", 422, "changed meanwhile", `value="50"`)
	if now := limits(); now != "own 50/3600" {
		t.Errorf("a form of before made the limits %s", now)
	}
	b.get(t, "/admin/audit?target="+id).shows(t, "the audit trail", 200, "they grow")
}

// TestReservationPages: what is reserved of a key stands on its page for its owner and staff, with when it comes back by itself; staff release it
// after they were asked, with a reason, which the audit trail keeps, and its owner, another and staff who only look release nothing.
func TestReservationPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	key, held := s.ids["counting-key"], s.ids["reservation"]
	page := "/keys/" + key
	at := "/admin" + page + "/reservations/" + held + "/release"
	short := held[len(held)-8:]
	c.get(t, "/account"+page).shows(t, "the owner's page", 200, "Reserved", short, ">500<", "Comes back by itself")
	if p := c.get(t, "/account"+page); strings.Contains(p.text, "/release") {
		t.Error("the owner is led to a release")
	}
	c.get(t, "/account/keys/"+s.ids["key"]).shows(t, "a key without", 200)
	if p := c.get(t, "/account/keys/"+s.ids["key"]); strings.Contains(p.text, "Reserved") {
		t.Error("a key of which nothing is reserved shows an empty list")
	}
	o.get(t, "/account"+page).shows(t, "another's", 404)
	b.get(t, "/admin"+page).shows(t, "the console's page", 200, "Reserved", short, `href="`+at+`"`)
	s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail("reader"), "role": "auditor", "password": password}, nil)
	s.tokens["reader"] = s.signIn(t, "reader")
	reader := s.as(t, "reader")
	if p := reader.get(t, "/admin"+page); p.status != 200 || !strings.Contains(p.text, short) || strings.Contains(p.text, "/release") {
		t.Errorf("staff who only look: %d, led to a release or shown nothing", p.status)
	}
	reader.get(t, at).shows(t, "the question, to staff who only look", 403)
	for who, text := range map[string]string{"owner": s.tokens[customer], "reader": s.tokens["reader"]} {
		status, body, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/key-reservations/"+held+"/release", http.Header{"Authorization": {"Bearer " + text}}, object{})
		if err != nil || status != http.StatusForbidden {
			t.Errorf("the %s releases it by the API: %d %s (%v)", who, status, body, err)
		}
	}
	b.get(t, at).shows(t, "the question", 200, "Release the reservation", "cannot be settled any more")
	if to := b.send(t, at, url.Values{"reason": {"the worker died"}}).done(t, "the release"); to != "/admin"+page {
		t.Errorf("it leads to %s", to)
	}
	if p := b.get(t, "/admin"+page); strings.Contains(p.text, short) {
		t.Error("a released reservation is still listed")
	}
	b.get(t, "/admin/audit?target="+held).shows(t, "the audit trail", 200, "the worker died")
}
