package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestQ11_DataOnPages: a customer takes everything along as a file and has the account erased by password and word; without either nothing
// happens, afterwards nobody signs in with it, and staff have no such pages.
func TestQ11_DataOnPages(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{})
	s.plantPeople(t)
	c := s.as(t, customer)
	p := c.post(t, "/account/settings/data", url.Values{})
	if p.status != http.StatusOK || !strings.Contains(p.text, stageEmail(customer)) || !strings.HasPrefix(p.header.Get("Content-Disposition"), "attachment") || strings.Contains(p.text, stageEmail(other)) {
		t.Errorf("the file: %d %v %.300s", p.status, p.header, p.text)
	}
	for name, form := range map[string]url.Values{"no word": {"password": {password}}, "another word": {"password": {password}, "confirm": {"yes"}}, "a wrong password": {"password": {"wrong horse battery 42"}, "confirm": {"erase"}}} {
		if p := c.post(t, "/account/settings/erase", form); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.text, "Erase the account?") || !c.inside(t) {
			t.Errorf("%s: %d %.300s", name, p.status, p.text)
		}
	}
	if p := c.post(t, "/account/settings/erase", url.Values{"password": {password}, "confirm": {"erase"}}); p.status != http.StatusSeeOther || c.inside(t) {
		t.Fatalf("erasing: %d %.300s", p.status, p.text)
	}
	if p := newCaller(t, s.url).post(t, "/sign-in", url.Values{"email": {stageEmail(customer)}, "password": {password}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("signing in afterwards: %d", p.status)
	}
	if p := s.as(t, owner).get(t, "/admin/settings/erase"); p.status != http.StatusNotFound {
		t.Errorf("staff: %d", p.status)
	}
}
