package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// TestR10_WhoLooksChangesNothingAndSeesNoSecret: a session by which support looks at a customer's account is refused by every operation that
// changes something, is shown no key by any that it may call, reads what the customer reads, and can be ended.
func TestR10_WhoLooksChangesNothingAndSeesNoSecret(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	path := "/v1/customers/" + s.A.ID + "/impersonate"
	if a := s.send(request{Method: "POST", Path: path, As: s.Staff[licensing.RoleAuditor], Body: object{"reason": "curious"}}); a.Code != http.StatusForbidden {
		t.Errorf("an auditor opened one: %d", a.Code)
	}
	var look struct{ Token string }
	s.must(request{Method: "POST", Path: path, As: s.Staff[licensing.RoleSupport], Body: object{"reason": "ticket 7"}}, &look)
	as := "Bearer " + look.Token
	for _, route := range s.routes {
		spec := route.Spec()
		if spec.Name == "session.end-current" || !spec.Access.Anonymous && !spec.Access.Customer {
			continue
		}
		q := s.sample(spec)
		q.As = as
		if strings.Contains(spec.Path, "{id}") {
			if id := s.A.idIn(spec.Path); id != "" {
				q.Path = at(spec.Path, id)
			}
		}
		a := s.send(q)
		if spec.Mutates() && (a.Code != http.StatusForbidden || a.code() != "read-only-session") {
			t.Errorf("%s answered %d %s", spec.Name, a.Code, a.Body)
		}
		if a.Code >= 300 {
			continue
		}
		for what, secret := range map[string]string{"license key": s.A.Key, "API key": s.A.APIKey, "order's access": s.A.Access, "token": s.A.Token} {
			if strings.Contains(a.Body.String(), secret) {
				t.Errorf("%s shows the %s", spec.Name, what)
			}
		}
	}
	for _, path := range []string{"/v1/licenses", "/v1/orders", "/v1/keys", "/v1/sessions", "/v1/me"} {
		if a := s.send(request{Method: "GET", Path: path, As: as}); a.Code != http.StatusOK {
			t.Errorf("%s answered %d %s", path, a.Code, a.Body)
		}
	}
	s.must(request{Method: "DELETE", Path: "/v1/sessions/current", As: as}, nil)
	if a := s.send(request{Method: "GET", Path: "/v1/me", As: as}); a.Code != http.StatusUnauthorized {
		t.Errorf("an ended one answered %d", a.Code)
	}
}
