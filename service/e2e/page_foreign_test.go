package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/app"
)

// posts are the addresses of every page that takes a form by its pattern, with ids of nothing.
func posts(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range mounts(t) {
		if at, ok := strings.CutPrefix(pattern, "POST "); ok {
			out[pattern] = named.ReplaceAllString(at, "lic_00000000000070008000000000000000")
		}
	}
	if len(out) < 6 {
		t.Fatalf("only %d pages take forms: %q", len(out), out)
	}
	return out
}

// foreignForms are the ways in which a page of another site, or a program, sends a form.
func foreignForms(base string) map[string]http.Header {
	return map[string]http.Header{
		"from another site":                {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"from another site without origin": {"Sec-Fetch-Site": {"cross-site"}},
		"from a sibling host":              {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://evil.localhost"}},
		"from a foreign origin":            {"Origin": {"https://evil.example"}},
		"from an origin that ends alike":   {"Origin": {base + ".evil.example"}},
		"from another port":                {"Origin": {"http://127.0.0.1:1"}},
		"from a null origin":               {"Origin": {"null"}},
		"cross-site and a null origin":     {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}},
		"neither header":                   {},
		"text/plain":                       {"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}},
		"JSON":                             {"Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"application/json"}},
	}
}

// TestU04_ForeignForms: every page that takes a form refuses it with 403 unless a page of this site sent it, whoever is signed in; a form
// in another encoding than browsers send is not taken from this site either; and no page takes one by GET.
func TestU04_ForeignForms(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	body := url.Values{"once": {strings.Repeat("o", 26)}, "email": {stageEmail(other)}, "password": {password}, "reason": {"because"}}.Encode()
	callers := map[string]*caller{visitor: s.as(t, visitor), customer: s.as(t, customer), owner: s.as(t, owner)}
	for pattern, at := range posts(t) {
		for who, c := range callers {
			for name, header := range foreignForms(s.url) {
				if header["Content-Type"] == nil {
					header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				if p := c.do(t, http.MethodPost, at, header, strings.NewReader(body)); p.status != http.StatusForbidden {
					t.Errorf("POST %s by %q %s answered %d %s", at, who, name, p.status, p.to)
				} else if p.gives() {
					t.Errorf("POST %s by %q %s set %v", at, who, name, p.set())
				}
			}
			for _, kind := range []string{"text/plain", "application/json", ""} {
				p := c.do(t, http.MethodPost, at, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {s.url}, "Content-Type": {kind}}, strings.NewReader(body))
				if p.status < 400 && !strings.HasPrefix(p.to, "/sign-in?next=") && !strings.HasPrefix(p.to, "/sign-in/again?next=") && at != "/sign-out" && !slices.Contains(streamed, pattern) {
					t.Errorf("POST %s by %q as %q answered %d %s", at, who, kind, p.status, p.to)
				}
			}
			if p := c.get(t, at+"?"+body); p.gives() || p.status >= 500 {
				t.Errorf("GET %s by %q answered %d and set %v", at, who, p.status, p.set())
			}
		}
	}
	for who, c := range callers {
		if who != visitor && !c.inside(t) {
			t.Errorf("a foreign form or a GET signed %s out", who)
		}
	}
}

// TestU16_LoginCSRF: no page of another site signs a visitor in, as themselves or as somebody else, or out.
func TestU16_LoginCSRF(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	form := url.Values{"email": {stageEmail(other)}, "password": {password}}.Encode()
	for name, header := range foreignForms(s.url) {
		if header["Content-Type"] == nil {
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, who := range []string{visitor, customer} {
			c := s.as(t, who)
			before := c.cookie(t, "mintreu-session")
			for _, at := range []string{"/sign-in", "/sign-out", "/sign-up"} {
				if p := c.do(t, http.MethodPost, at, header, strings.NewReader(form)); p.status != http.StatusForbidden || p.gives() {
					t.Errorf("%s %s by %q answered %d and set %v", at, name, who, p.status, p.set())
				}
			}
			if c.cookie(t, "mintreu-session") != before {
				t.Errorf("%s changed the session of %q", name, who)
			}
		}
	}
}

// TestU08_HostHeaderPoisoned: whatever host a request names, by Host or by headers of proxies, links in mail and on pages keep the base
// URL of the shop.
func TestU08_HostHeaderPoisoned(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{BaseURL: "http://shop.example"})
	s.joins(t, customer)
	c := s.as(t, visitor)
	poison := func(r *http.Request) {
		r.Host = "evil.example"
		for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server", "X-HTTP-Host-Override"} {
			r.Header.Set(name, "evil.example")
		}
		r.Header.Set("Forwarded", "host=evil.example;proto=http")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	send := func(method, at string, form url.Values) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+at, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		poison(r)
		res, err := c.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		for name, values := range res.Header {
			if strings.Contains(strings.Join(values, " "), "evil.example") {
				t.Errorf("%s %s answered %s: %s", method, at, name, values)
			}
		}
		if res.StatusCode >= 500 {
			t.Errorf("%s %s answered %d", method, at, res.StatusCode)
		}
	}
	mails := map[string]url.Values{"/sign-up": {"email": {"new@example.com"}}, "/lost-keys": {"email": {stageEmail(customer)}}, "/reset": {"email": {stageEmail(customer)}}}
	for at, form := range mails {
		send(http.MethodPost, at, form)
	}
	send(http.MethodPost, "/sign-up", url.Values{"email": {stageEmail(customer)}})
	send(http.MethodGet, "/", nil)
	send(http.MethodGet, "/sign-in", nil)
	s.mailed(t, "new@example.com", "/confirm/")
	s.mailed(t, stageEmail(customer), "/confirm/")
	var all licensing.List[struct{ To, Text, HTML string }]
	s.must(t, http.MethodGet, "/v1/mails", nil, &all)
	link := regexp.MustCompile(`https?://[^/\s"<>]+`)
	for _, m := range all.Items {
		for _, found := range link.FindAllString(m.Text+m.HTML, -1) {
			if found != "http://shop.example" {
				t.Errorf("the mail to %s leads to %s", m.To, found)
			}
		}
	}
	if len(all.Items) < 2 {
		t.Errorf("there are %d mails", len(all.Items))
	}
}
