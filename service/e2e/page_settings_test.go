package e2e_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what authenticators use
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// oneTimeCode is what an authenticator shows at an instant.
func oneTimeCode(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// TestSettings_Forms: a customer and a person of the staff change their name and their password; what is wrong stays in the form with the reason
// on its field, and a password is never sent back.
func TestSettings_Forms(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	for base, session := range map[string]string{"/account/settings": s.A.Session, "/admin/settings": s.Staff[licensing.RoleAuditor]} {
		send := func(path string, form url.Values) (int, string, string) {
			form.Set("once", licenseOnce())
			w := s.browse(session, base+path, form)
			return w.Code, w.Header().Get("Location"), html.UnescapeString(w.Body.String())
		}
		if code, to, body := send("/name", url.Values{"name": {"Ada & Co"}}); code != http.StatusSeeOther || to != base {
			t.Errorf("%s: the name: %d %s %s", base, code, to, body)
		}
		if w := s.browse(session, base, nil); !strings.Contains(w.Body.String(), "Ada &amp; Co") {
			t.Errorf("%s does not show the name: %d", base, w.Code)
		}
		if code, _, body := send("/name", url.Values{"name": {strings.Repeat("x", 101)}}); code != http.StatusUnprocessableEntity || !strings.Contains(body, strings.Repeat("x", 101)) {
			t.Errorf("%s: a long name: %d", base, code)
		}
		const next = "another horse battery 43"
		for _, c := range []struct{ form, want string }{{"current=wrong+horse+battery&password=" + url.QueryEscape(next) + "&repeat=" + url.QueryEscape(next), "The password is wrong"},
			{"current=" + url.QueryEscape(password) + "&password=" + url.QueryEscape(next) + "&repeat=x", "same password again"}} {
			form, _ := url.ParseQuery(c.form)
			if code, _, body := send("/password", form); code != http.StatusUnprocessableEntity || !strings.Contains(body, c.want) || strings.Contains(body, next) {
				t.Errorf("%s: %q: %d %s", base, c.want, code, body)
			}
		}
		if code, to, body := send("/password", url.Values{"current": {password}, "password": {next}, "repeat": {next}}); code != http.StatusSeeOther || to != base {
			t.Errorf("%s: the password: %d %s", base, code, body)
		}
		if w := s.browse(session, base, nil); w.Code != http.StatusOK {
			t.Errorf("%s: the session in which the password was changed is over: %d", base, w.Code)
		}
		if code, _, body := send("/email", url.Values{"email": {"not an address"}}); code != http.StatusUnprocessableEntity || !strings.Contains(body, "not an address") {
			t.Errorf("%s: a wrong address: %d %s", base, code, body)
		}
		if code, to, _ := send("/email", url.Values{"email": {"ada2@example.com"}, "password": {next}}); code != http.StatusSeeOther || to != base {
			t.Errorf("%s: an address: %d", base, code)
		}
	}
	if w := s.browse(s.B.Session, "/admin/settings", nil); w.Code != http.StatusNotFound {
		t.Errorf("a customer in the console: %d", w.Code)
	}
}

// TestR02_Sessions: a person sees the sessions of their own, ends one and all others; another's id ends nothing.
func TestR02_Sessions(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	second, id := s.signIn(s.A.Email)
	third, _ := s.signIn(s.A.Email)
	end := func(id string) int {
		return s.browse(s.A.Session, "/account/settings/sessions/"+id+"/end", url.Values{"once": {licenseOnce()}}).Code
	}
	if a, b := end(s.B.SessionID), end(nothing(s.B.SessionID)); a != http.StatusNotFound || b != a {
		t.Errorf("another's session: %d, none: %d", a, b)
	}
	if code := end(id); code != http.StatusSeeOther {
		t.Errorf("ending a session: %d", code)
	}
	alive := func(session string) bool { return s.browse(session, "/account", nil).Code == http.StatusOK }
	if alive(second) || !alive(third) || !alive(s.B.Session) {
		t.Error("which sessions go on after one was ended")
	}
	s.browse(s.A.Session, "/account/settings/sessions/others", url.Values{"once": {licenseOnce()}})
	if alive(third) || !alive(s.A.Session) || !alive(s.B.Session) {
		t.Error("which sessions go on after all others were ended")
	}
}

// TestU10_TwoStepByPages: one-time codes are turned on with the secret that the page shows as a QR code, after a wrong code with the same one;
// the recovery codes are shown once; turning them off takes a code.
func TestU10_TwoStepByPages(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		const base = "/account/settings/two-step"
		if w := s.browse(s.Stale, base, url.Values{"once": {licenseOnce()}}); !strings.HasPrefix(w.Header().Get("Location"), "/sign-in/again") {
			t.Errorf("an old sign-in: %d %s", w.Code, w.Header().Get("Location"))
		}
		w := s.browse(s.A.Session, base, url.Values{"once": {licenseOnce()}})
		hidden := func(name string) string {
			m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
			if m == nil {
				t.Fatalf("no %s: %d %s", name, w.Code, w.Body)
			}
			return html.UnescapeString(m[1])
		}
		if !strings.Contains(w.Body.String(), `<svg class="qr"`) {
			t.Error("there is no QR code")
		}
		form := url.Values{"once": {licenseOnce()}, "secret": {hidden("secret")}, "uri": {hidden("uri")}, "code": {"000000"}}
		if w = s.browse(s.A.Session, base+"/code", form); w.Code != http.StatusUnprocessableEntity || hidden("secret") != form.Get("secret") || !strings.Contains(w.Body.String(), `<svg class="qr"`) {
			t.Errorf("a wrong code: %d", w.Code)
		}
		code := oneTimeCode(t, form.Get("secret"), s.clock.Now())
		form.Set("once", hidden("once"))
		form.Set("code", code[:3]+" "+code[3:])
		w = s.browse(s.A.Session, base+"/code", form)
		codes := regexp.MustCompile(`<li><code>([^<]+)</code>`).FindAllStringSubmatch(w.Body.String(), -1)
		if w.Code != http.StatusOK || len(codes) != 10 {
			t.Fatalf("turning it on: %d %s", w.Code, w.Body)
		}
		if w = s.browse(s.A.Session, base, nil); !strings.Contains(w.Body.String(), "It is on") || strings.Contains(w.Body.String(), codes[0][1]) {
			t.Error("the page does not say that it is on, or shows a code again")
		}
		if w = s.browse(s.A.Session, base+"/off", url.Values{"once": {licenseOnce()}, "code": {"123456"}}); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("off with a wrong code: %d", w.Code)
		}
		if w = s.browse(s.A.Session, base+"/off", url.Values{"once": {licenseOnce()}, "code": {codes[0][1]}}); w.Code != http.StatusSeeOther {
			t.Errorf("off with a recovery code: %d %s", w.Code, w.Body)
		}
	})
}
