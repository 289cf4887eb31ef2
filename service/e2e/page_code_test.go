package e2e_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/mintreu/mintreu/service/app"
)

// TestU10_CodeOnPages: whoever turned one-time codes on is asked for one after the password and is not signed in before; a wrong code brings
// the form back, a recovery code works once, and the password alone opens nothing.
func TestU10_CodeOnPages(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{})
	s.plantPeople(t)
	as := http.Header{"Authorization": {"Bearer " + s.tokens[customer]}}
	call := func(at string, in, out any) {
		t.Helper()
		status, text, err := fetch(t.Context(), http.MethodPost, s.url+at, as, in)
		if err == nil {
			err = json.Unmarshal([]byte(text), out)
		}
		if err != nil || status >= 300 {
			t.Fatalf("%s answered %d %s (%v)", at, status, text, err)
		}
	}
	var started struct{ Secret string }
	call("/v1/account/totp", object{}, &started)
	code, err := totp.GenerateCode(started.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var confirmed struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}
	call("/v1/account/totp/confirm", object{"code": code}, &confirmed)
	challenge := regexp.MustCompile(`name="challenge" value="([^"]+)"`)
	ask := func(c *caller) string {
		t.Helper()
		p := c.post(t, "/sign-in", url.Values{"email": {stageEmail(customer)}, "password": {password}, "next": {"/account/orders"}})
		found := challenge.FindStringSubmatch(p.text)
		if p.status != http.StatusOK || found == nil || c.inside(t) {
			t.Fatalf("after the password: %d %s", p.status, p.text)
		}
		return html.UnescapeString(found[1])
	}
	c := newCaller(t, s.url)
	asked := ask(c)
	if p := c.post(t, "/sign-in/code", url.Values{"challenge": {asked}, "code": {"000000"}}); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.text, `role="alert"`) || c.inside(t) {
		t.Errorf("a wrong code: %d %s", p.status, p.text)
	}
	if p := c.post(t, "/sign-in/code", url.Values{"challenge": {asked}, "code": {confirmed.RecoveryCodes[0]}, "next": {"/account/orders"}}); p.status != http.StatusSeeOther || p.to != "/account/orders" || !c.inside(t) {
		t.Errorf("a recovery code: %d %s %s", p.status, p.to, p.text)
	}
	again := newCaller(t, s.url)
	if p := again.post(t, "/sign-in/code", url.Values{"challenge": {ask(again)}, "code": {confirmed.RecoveryCodes[0]}}); p.status == http.StatusSeeOther || again.inside(t) {
		t.Errorf("the recovery code again: %d %s", p.status, p.to)
	}
	if p := again.post(t, "/sign-in/code", url.Values{"challenge": {"none"}, "code": {"123456"}}); p.status != http.StatusSeeOther || !strings.HasPrefix(p.to, "/sign-in") {
		t.Errorf("without a challenge: %d %s", p.status, p.text)
	}
}

// plantCareful makes a customer who turned one-time codes on.
func (s *stage) plantCareful(t testing.TB) {
	t.Helper()
	s.joins(t, careful)
	s.tokens[careful] = s.signIn(t, careful)
	defer delete(s.tokens, careful)
	var started struct{ Secret string }
	s.say(t, careful, http.MethodPost, "/v1/account/totp", object{}, &started)
	code, err := totp.GenerateCode(started.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.say(t, careful, http.MethodPost, "/v1/account/totp/confirm", object{"code": code}, nil)
}
