package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing/license"
)

// policyForm is the form of a policy on a page of the console.
func policyForm(t *testing.T, p page, at string) form {
	t.Helper()
	for _, f := range forms(t, p.text, at) {
		if slices.ContainsFunc(f.fields, func(d field) bool { return d.name == "dead_after" }) {
			return f
		}
	}
	t.Fatalf("%s has no form of a policy", at)
	return form{}
}

// terms are those of a policy.
func (s *stage) terms(t *testing.T, id string) license.Terms {
	t.Helper()
	var out license.PolicyView
	s.must(t, http.MethodGet, "/v1/policies/"+id, nil, &out)
	return out.Terms
}

// asText is a value as JSON, to compare.
func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPolicyPages_Presets: each kind of license that the page of a new policy offers to start from makes a policy when its form is sent as it is
// shown, and no two make the same.
func TestPolicyPages_Presets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	offered := regexp.MustCompile(`href="(/admin/policies/new\?preset=[a-z-]+)`).FindAllStringSubmatch(c.get(t, "/admin/policies/new").text, -1)
	if len(offered) < 5 {
		t.Fatalf("the page offers %q", offered)
	}
	fresh := s.made(t, "fresh", "/v1/products", object{"slug": "fresh", "name": "Fresh", "purpose": "revenue", "key_prefix": "FRESH"}) // without policies whose codes are taken
	seen := map[string]string{}
	for _, o := range offered {
		f := policyForm(t, c.get(t, o[1]), o[1])
		values := f.values(func(d field) string { return d.value })
		values.Set("product", fresh)
		p := c.fill(t, f, values)
		_, id, made := strings.Cut(p.to, "/admin/policies/")
		if !made {
			t.Errorf("%s as it is shown answered %d: %.600s", o[1], p.status, mainOf(p.text))
			continue
		}
		terms := asText(t, s.terms(t, id))
		if seen[terms] != "" {
			t.Errorf("%s makes what %s makes", o[1], seen[terms])
		}
		seen[terms] = o[1]
		if text := c.get(t, p.to).text; !strings.Contains(text, "In words") {
			t.Errorf("%s: the policy's page does not say what it comes to", o[1])
		}
	}
}

// TestPolicyPages_NothingIsLost: the form of a policy shows every one of its terms: sent as it is shown it changes none, whatever they are; and
// each can be changed by it.
func TestPolicyPages_NothingIsLost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	every := object{"type": "timed", "duration": 31_536_001, "expiry_basis": "first_validation", "renewal_basis": "from_now_if_expired", "expired": "maintain", "expiry_grace": 5400, "updates_for": 86400, "max_version": "2.9",
		"seats": object{"n": 4, "by": "user", "floating": true}, "overage_percent": 50, "over_limit": "replace_oldest", "activation": "required", "match": 2, "recheck": 59, "fresh": 3600, "stale": 7200, "grace": 61, "then": "degrade", "keep": []string{"export"},
		"revive_within": 1, "dead_after": 20_000, "transfer": object{"allowed": true, "expiry": "reset_expiry", "limit": 2, "period": 86400, "approval": true},
		"entitlements": object{"export": true, "projects": 10, "tier": "gold"}, "entitled_for": object{"export": 90}, "meters": object{"exports": object{"quota": 100, "period": "month"}, "builds": object{"quota": 0, "period": "term"}}, "status": "require", "status_max_age": 3601}
	id := s.made(t, "every", "/v1/policies", object{"product_id": s.ids["product"], "code": "every", "name": "Every", "terms": every})
	for _, id := range []string{s.ids["policy"], id} {
		was, at := s.terms(t, id), "/admin/policies/"+id
		f := policyForm(t, c.get(t, at), at)
		if p := c.fill(t, f, f.values(func(d field) string { return d.value })); p.status != http.StatusSeeOther {
			t.Fatalf("the form as it is shown answered %d: %.600s", p.status, mainOf(p.text))
		}
		if is := s.terms(t, id); asText(t, is) != asText(t, was) {
			t.Errorf("sent as it was shown the form made of\n%s\nthis\n%s", asText(t, was), asText(t, is))
		}
	}
	at := "/admin/policies/" + id
	f := policyForm(t, c.get(t, at), at)
	for name, value := range map[string]string{"duration": "2 years", "dead_after": "1 h", "entitlements": "no code = = 7", "meters": "exports = many a month", "entitled_for": "export = soon", "seats": "-1", "transfer_limit": "-2", "max_version": "newest",
		"recheck": "1 h", "keep": "nothing", "match": "99", "entitled_for ": "export = 30\nnothing = 30", "meters ": "exports = 1 a decade"} {
		values := f.values(func(d field) string { return d.value })
		name := strings.TrimSpace(name)
		values.Set(name, value)
		p := c.fill(t, f, values)
		if p.status < 400 || p.status >= 500 || !strings.Contains(p.text, `id="f-`+name+`-error"`) {
			t.Errorf("%s = %q answered %d and says nothing beside the field", name, value, p.status)
		}
	}
	for name, value := range map[string]string{"duration": "30", "expiry_basis": "creation", "renewal_basis": "from_now", "expired": "allow", "expiry_grace": "", "updates_for": "0.5", "max_version": "", "seats": "5", "by": "device", "overage": "-1", "over_limit": "reject",
		"dead_after": "2 days", "revive_within": "1", "match": "3", "recheck": "10 min", "fresh": "2 h", "stale": "1 h", "grace": "1 h", "then": "stop", "keep": "export, tier", "status": "off", "status_max_age": "1", "entitlements": "export\ntier = gold", "meters": "",
		"transfer_expiry": "keep_expiry", "transfer_limit": "3", "transfer_period": "2"} {
		before := s.terms(t, id)
		f = policyForm(t, c.get(t, at), at)
		values := f.values(func(d field) string { return d.value })
		values.Set(name, value)
		if p := c.fill(t, f, values); p.status != http.StatusSeeOther {
			t.Errorf("%s = %q answered %d: %.600s", name, value, p.status, mainOf(p.text))
		} else if asText(t, s.terms(t, id)) == asText(t, before) {
			t.Errorf("%s = %q changes nothing", name, value)
		}
	}
	f = policyForm(t, c.get(t, at), at)
	values := f.values(func(d field) string { return d.value })
	values.Set("transfer_limit", "") // together, for a limit has a period
	values.Set("transfer_period", "")
	if p := c.fill(t, f, values); p.status != http.StatusSeeOther {
		t.Errorf("without a limit of transfers it answered %d: %.600s", p.status, mainOf(p.text))
	}
	for _, box := range []string{"transfer_approval", "transfer", "floating", "activation"} {
		before := s.terms(t, id)
		f = policyForm(t, c.get(t, at), at)
		values := f.values(func(d field) string { return d.value })
		values.Del(box)
		if p := c.fill(t, f, values); p.status != http.StatusSeeOther {
			t.Errorf("without %s it answered %d: %.600s", box, p.status, mainOf(p.text))
		} else if asText(t, s.terms(t, id)) == asText(t, before) {
			t.Errorf("without %s nothing changes", box)
		}
	}
}
