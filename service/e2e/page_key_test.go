package e2e_test

import (
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
	bad := c.send(t, "/account/keys/new", url.Values{"name": {""}, "allow_from": {"nowhere"}, "ends": {"soon"}})
	bad.shows(t, "a bad form", 422, `value="nowhere"`, "Must say what the key is for", "Must be a day")
	made := c.send(t, "/account/keys/new", url.Values{"name": {"Night build"}, "scope-0": {"on"}, "count": {"2"}, "seconds": {"3600"}})
	key := keyText.FindString(made.text)
	if made.status != http.StatusOK || key == "" || !strings.Contains(made.text, "not shown again") {
		t.Fatalf("making a key: %d %s", made.status, mainText(made.text))
	}
	id := regexp.MustCompile(`/account/keys/(key_[0-9a-f]+)`).FindStringSubmatch(made.text)[1]
	if list := c.get(t, "/account/keys"); strings.Contains(list.text, key) {
		t.Error("the list shows the text of a key")
	}
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
	form := b.get(t, at+"/limits")
	form.shows(t, "the limits", 200, `value="2"`, `value="600"`)
	b.send(t, at+"/limits", url.Values{"count-0": {"5"}, "count-1": {"5"}}).shows(t, "no reason", 422, "Say why")
	if p := b.send(t, at+"/limits", url.Values{"count-0": {"50"}, "count-1": {"50"}, "reason": {"they grow"}}); p.status != http.StatusSeeOther {
		t.Fatalf("changing the limits: %d %s", p.status, mainText(p.text))
	}
	b.get(t, at).shows(t, "the changed key", 200, "50 ")
	b.get(t, "/admin/audit?target="+id).shows(t, "the audit trail", 200, "they grow")
}
