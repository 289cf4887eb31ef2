package e2e_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
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
			at := s.address(t, visits()[pattern][0].at)
			p := c.get(t, at)
			if p.status != http.StatusOK {
				continue
			}
			seen++
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
		if seen < 15 {
			t.Errorf("%s sees %d pages only", role, seen)
		}
	}
	whole := s.as(t, owner).get(t, "/admin").text
	for _, at := range []string{"orders", "tickets", "customers", "organisations", "access", "licenses", "transfers", "runs", "keys", "policies", "products", "import", "files", "faq",
		"switches", "payments", "mail", "jobs", "signing-keys", "audit", "staff", "tokens", "settings"} {
		if !strings.Contains(whole, `href="/admin/`+at+`"`) {
			t.Errorf("the owner is not led to /admin/%s", at)
		}
	}
}
