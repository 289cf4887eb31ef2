package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/service/app"
)

// enter signs in on the page.
func (c *caller) enter(t testing.TB, email, password string, more url.Values) page {
	t.Helper()
	form := url.Values{"email": {email}, "password": {password}}
	for name, values := range more {
		form[name] = values
	}
	p := c.post(t, "/sign-in", form)
	if p.status != http.StatusSeeOther {
		t.Fatalf("signing in answered %d: %.400s", p.status, p.text)
	}
	return p
}

// inside reports whether the caller is signed in, by what the home page says.
func (c *caller) inside(t testing.TB) bool {
	t.Helper()
	p := c.get(t, "/")
	if p.status != http.StatusOK {
		t.Fatalf("the home page answered %d", p.status)
	}
	in, out := strings.Contains(p.text, `action="/sign-out"`), strings.Contains(p.text, `href="/sign-in"`)
	if in == out {
		t.Fatalf("the home page says neither or both of sign in and sign out:\n%s", p.text)
	}
	return in
}

// cookie is what the caller holds under a name.
func (c *caller) cookie(t testing.TB, name string) string {
	t.Helper()
	u, err := url.Parse(c.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.client.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// at is the same person at another address of the service, with the same cookies.
func (c *caller) at(t testing.TB, base string) *caller {
	t.Helper()
	out := newCaller(t, base)
	for _, name := range []string{"mintreu-session", "mintreu-renewal"} {
		if v := c.cookie(t, name); v != "" {
			out.hold(t, name, v)
		}
	}
	return out
}

// joins makes a customer with the usual password, under an address that no other test has: counters of Redis are shared.
func (s *site) joins(t testing.TB) string {
	t.Helper()
	email := uuid.NewString()[:18] + "@example.com"
	var person struct{ ID string }
	for _, call := range []func() error{
		func() error {
			return s.operator(t.Context(), http.MethodPost, "/v1/staff", object{"email": email, "role": "support", "password": password}, &person)
		},
		func() error {
			return s.operator(t.Context(), http.MethodPut, "/v1/staff/"+person.ID+"/role", object{"role": "", "reason": "a customer"}, nil)
		},
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	return email
}

// set are the cookies that a page sets, by name, and those that it takes back.
func (p page) set() map[string]*http.Cookie {
	out := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: p.header}).Cookies() {
		out[c.Name] = c
	}
	return out
}

// TestU01_PresetCookieIsNotAdopted: who signs in with a session cookie that somebody else put there, made up or of another session, gets
// another one; the one from before is worth nothing, or what it was before.
func TestU01_PresetCookieIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, preset := range map[string]string{"made up": "mts_" + strings.Repeat("a", 43), "of somebody else": s.tokens[other]} {
		c := s.as(t, visitor)
		c.hold(t, "mintreu-session", preset)
		c.hold(t, "mintreu-renewal", "mtn_"+strings.Repeat("a", 43))
		c.enter(t, stageEmail(customer), password, nil)
		got := c.cookie(t, "mintreu-session")
		if got == "" || got == preset || got == s.tokens[customer] {
			t.Errorf("%s: after signing in the cookie is the one of before", name)
		}
		if r := c.cookie(t, "mintreu-renewal"); r == "" || strings.HasSuffix(r, "aaa") {
			t.Errorf("%s: after signing in the renewal is %q", name, r)
		}
		thief := s.as(t, visitor)
		thief.hold(t, "mintreu-session", preset)
		if name == "made up" && thief.inside(t) {
			t.Errorf("%s: who set the cookie is signed in", name)
		}
	}
}

// TestU02_CookiesDieOnEveryReplica: cookies from before signing out, and those of every other session from before a change of the
// password, open nothing any more at either replica within two seconds, renewals included.
func TestU02_CookiesDieOnEveryReplica(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	email, second := s.joins(t), "another password, also long 8"
	here := func(c *caller, wanted bool, what string) {
		t.Helper()
		for i, a := range s.replicas {
			if soon(func() bool { return c.at(t, a.LocalURL()).inside(t) == wanted }) > 0 {
				t.Errorf("%s: at replica %d signed in is %t", what, i, !wanted)
			}
		}
	}
	c := newCaller(t, s.replicas[0].LocalURL())
	c.enter(t, email, password, url.Values{"remember": {"yes"}})
	kept := c.at(t, s.url) // a copy of the cookies
	here(kept, true, "signed in")
	if p := c.post(t, "/sign-out", url.Values{}); p.status != http.StatusSeeOther || p.set()["mintreu-session"] == nil || p.set()["mintreu-session"].MaxAge >= 0 {
		t.Errorf("signing out answered %d and set %v", p.status, p.set())
	}
	here(kept, false, "after signing out")

	c.enter(t, email, password, nil)
	stolen := newCaller(t, s.url)
	stolen.enter(t, email, password, nil)
	here(stolen, true, "a second session")
	as := http.Header{"Authorization": {"Bearer " + c.cookie(t, "mintreu-session")}}
	if status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/accounts/password", as, object{"current": password, "password": second}); err != nil || status >= 300 {
		t.Fatalf("changing the password answered %d %s (%v)", status, text, err)
	}
	here(stolen, false, "after a change of the password")
}

// TestU03_CookieAttributes: over https the cookies of a session have the prefix that binds them to the host, are sent over TLS alone,
// are out of reach of scripts and of other sites, and name no domain; on loopback they do without prefix and TLS.
func TestU03_CookieAttributes(t *testing.T) {
	t.Parallel()
	for base, prefix := range map[string]string{"https://shop.example": "__Host-", "": ""} {
		s := bareStage(t, app.Config{BaseURL: base})
		s.joins(t, customer)
		for _, remember := range []string{"", "yes"} {
			p := s.as(t, visitor).enter(t, stageEmail(customer), password, url.Values{"remember": {remember}})
			set := p.set()
			for _, name := range []string{"mintreu-session", "mintreu-renewal"} {
				c := set[prefix+name]
				if c == nil {
					t.Fatalf("base URL %q: %s is not set: %v", base, prefix+name, p.header.Values("Set-Cookie"))
				}
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.Path != "/" || c.Secure != (prefix != "") {
					t.Errorf("base URL %q: %s", base, c.Raw)
				}
				if lasting := !c.Expires.IsZero() || c.MaxAge > 0; lasting != (remember != "" && name == "mintreu-renewal") {
					t.Errorf("base URL %q, remembered %q: %s", base, remember, c.Raw)
				}
			}
			if len(set) != 2 {
				t.Errorf("base URL %q: signing in set %v", base, p.header.Values("Set-Cookie"))
			}
		}
	}
}

// TestU12_CookiesEnd: a visitor's session goes on by itself beyond the hour of its token and over a restart of the service; unused, or
// after its longest life, it ends, and the cookies are taken back.
func TestU12_CookiesEnd(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		email := s.joins(t)
		c := newCaller(t, s.url)
		c.enter(t, email, password, url.Values{"remember": {"yes"}})
		first := c.cookie(t, "mintreu-session")
		s.clock.Forward(61 * time.Minute)
		if !c.inside(t) || c.cookie(t, "mintreu-session") == first {
			t.Error("the session did not go on after an hour")
		}
		s.stop()
		s.start(t)
		if !c.inside(t) {
			t.Error("the session ended with a restart")
		}
		for range 4 {
			s.clock.Forward(6 * 24 * time.Hour)
			if !c.inside(t) {
				t.Fatal("a session that is used ended before its time")
			}
		}
		s.clock.Forward(8 * 24 * time.Hour)
		if c.inside(t) || c.cookie(t, "mintreu-session") != "" || c.cookie(t, "mintreu-renewal") != "" {
			t.Errorf("after its longest life the session goes on, or cookies are left: %q", c.cookie(t, "mintreu-renewal"))
		}
		idle := newCaller(t, s.url)
		idle.enter(t, email, password, nil)
		s.clock.Forward(25 * time.Hour)
		if idle.inside(t) {
			t.Error("a session that nobody used for a day goes on")
		}
	})
}

// TestU18_StolenRenewalCookie: a renewal cookie that was copied works for one of the two who hold it; as soon as the other comes with it the
// session ends for both, on every replica.
func TestU18_StolenRenewalCookie(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	email := s.joins(t)
	c := newCaller(t, s.url)
	c.enter(t, email, password, url.Values{"remember": {"yes"}})
	thief := newCaller(t, s.url)
	thief.hold(t, "mintreu-renewal", c.cookie(t, "mintreu-renewal"))
	s.clock.Forward(61 * time.Minute)
	if !thief.inside(t) {
		t.Fatal("the copy does not work; there is nothing to steal")
	}
	s.clock.Forward(time.Minute)
	if c.inside(t) {
		t.Error("a spent renewal was taken")
	}
	for i, a := range s.replicas {
		if soon(func() bool { return !thief.at(t, a.LocalURL()).inside(t) }) > 0 {
			t.Errorf("at replica %d the thief goes on", i)
		}
	}
}

// gives reports whether a page sets a cookie, other than to take it back.
func (p page) gives() bool {
	for _, c := range p.set() {
		if c.Value != "" {
			return true
		}
	}
	return false
}
