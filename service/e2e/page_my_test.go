package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// statements counts the round trips of the services to their database.
type statements struct {
	db db.DB
	n  atomic.Int64
}

func (s *statements) watch(d db.DB) db.DB {
	s.db = d
	return &watchedDB{d, s}
}

// watchedDB is a database whose statements are counted.
type watchedDB struct {
	db.DB
	*statements
}

func (w *watchedDB) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	w.n.Add(1)
	return w.DB.Exec(ctx, sql, args...)
}

func (w *watchedDB) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	w.n.Add(1)
	return w.DB.Query(ctx, sql, args...)
}

func (w *watchedDB) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	w.n.Add(1)
	return w.DB.QueryRow(ctx, sql, args...)
}

func (w *watchedDB) Ask(ctx context.Context, q ...db.Question) error {
	w.n.Add(1)
	return w.DB.Ask(ctx, q...)
}

func (w *watchedDB) Batch(ctx context.Context, s []db.Statement) ([]int64, error) {
	w.n.Add(1)
	return w.DB.Batch(ctx, s)
}

// browse asks for a page, or sends a form when there is one, as the browser of whoever holds a session ("Bearer …"); "" is a stranger's.
func (s *surface) browse(session, path string, form url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	for {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept", "text/html")
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if token, ok := strings.CutPrefix(session, "Bearer "); ok {
			r.AddCookie(&http.Cookie{Name: "mintreu-session", Value: token})
		}
		n := s.calls.Add(1)
		r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:4000", n/250%250, n%250)
		w := httptest.NewRecorder()
		s.app.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests && strings.Contains(w.Body.String(), "busy") {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		return w
	}
}

// plain is a page's text, as far as a test compares it: without the tokens of its forms and the id of its request.
func plain(w *httptest.ResponseRecorder) string {
	return once.ReplaceAllString(requestIDs.ReplaceAllString(w.Body.String(), ""), "")
}

var (
	once       = regexp.MustCompile(`name="once" value="[^"]*"`)
	requestIDs = regexp.MustCompile(`req_[0-9a-f]+`)
)

// formToken is that of the page's first form.
func formToken(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	m := regexp.MustCompile(`name="once" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("the page has no form: %s", w.Body)
	}
	return m[1]
}

// shelve publishes a release of the product with one file, and returns the file's id.
func (s *surface) shelve(version string) string {
	s.t.Helper()
	var rel struct{ ID string }
	s.must(request{Method: "POST", Path: "/v1/products/" + s.Product + "/releases", As: cli, Body: object{"version": version, "notes": "What is new in " + version}}, &rel)
	r := httptest.NewRequest(http.MethodPut, "/v1/releases/"+rel.ID+"/files/alpha-"+version+".tar.gz?platform=linux-amd64", bytes.NewReader([]byte("the program "+version)))
	r.Header.Set("Authorization", s.Staff[licensing.RoleOwner])
	w := httptest.NewRecorder()
	s.app.Handler().ServeHTTP(w, r)
	var f struct{ ID string }
	decode(s.t.(*testing.T), w.Body.String(), &f)
	s.must(request{Method: "POST", Path: "/v1/releases/" + rel.ID + "/publish", As: cli, Body: object{}}, nil)
	return f.ID
}

// accountPages are a customer's pages, with the objects of a buyer in their addresses.
func accountPages(b *buyer) []string {
	return []string{"/account", "/account/licenses", "/account/licenses/" + b.License, "/account/licenses/" + b.License + "/devices/" + b.Activation + "/release",
		"/account/keys", "/account/keys/" + b.APIKeyID, "/account/keys/" + b.APIKeyID + "/rotate", "/account/keys/" + b.APIKeyID + "/revoke",
		"/account/orders", "/account/orders/" + b.Order, "/account/orders/" + b.Pending, "/account/downloads", "/account/settings", "/account/settings/name", "/account/settings/two-step"}
}

// TestR02_AccountPages: each page of an account is there for its owner; a stranger is led to the sign-in and back; with the id of somebody
// else's object it is answered like with an id of nothing; staff have pages of their own.
func TestR02_AccountPages(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		s.shelve("1.0.0")
		mine, foreign := accountPages(&s.A), accountPages(&s.B)
		none := accountPages(&buyer{License: nothing("lic_"), Activation: nothing("act_"), APIKeyID: nothing("key_"), Order: nothing("ord_"), Pending: nothing("ord_")})
		for i, path := range mine {
			if w := s.browse(s.A.Session, path, nil); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s answered its owner %d %q", path, w.Code, w.Header().Get("Cache-Control"))
			}
			if w := s.browse("", path, nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sign-in?next="+url.QueryEscape(path) {
				t.Errorf("%s answered a stranger %d %s", path, w.Code, w.Header().Get("Location"))
			}
			if w := s.browse(s.Staff[licensing.RoleOwner], path, nil); w.Code != http.StatusForbidden {
				t.Errorf("%s answered staff %d", path, w.Code)
			}
			if foreign[i] == path {
				continue
			}
			a, b := s.browse(s.A.Session, foreign[i], nil), s.browse(s.A.Session, none[i], nil)
			if a.Code != http.StatusNotFound || b.Code != a.Code || plain(a) != plain(b) {
				t.Errorf("%s answered %d for another's, %d for nothing:\n%s\n%s", path, a.Code, b.Code, plain(a), plain(b))
			}
		}
		const token = "/account/licenses/%s/token"
		a, b := s.browse(s.A.Session, fmt.Sprintf(token, s.B.License), nil), s.browse(s.A.Session, fmt.Sprintf(token, nothing("lic_")), nil)
		if a.Code != http.StatusNotFound || plain(a) != plain(b) {
			t.Errorf("%s answered %d for another's, %d for nothing", token, a.Code, b.Code)
		}
	})
}

// TestR03_NestedDevices: a device of one license is not found below another, neither asked for nor released.
func TestR03_NestedDevices(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	for _, path := range []string{"/account/licenses/" + s.A.License + "/devices/" + s.B.Activation, "/account/licenses/" + s.B.License + "/devices/" + s.A.Activation} {
		for _, form := range []url.Values{nil, {"once": {strings.Repeat("x", 20)}}} {
			if w := s.browse(s.A.Session, path+"/release", form); w.Code != http.StatusNotFound {
				t.Errorf("%s answered %d", path, w.Code)
			}
		}
	}
	for _, b := range []*buyer{&s.A, &s.B} {
		if w := s.browse(b.Session, "/account/licenses/"+b.License, nil); !strings.Contains(w.Body.String(), "/devices/"+b.Activation+"/release") {
			t.Error("a device was released")
		}
	}
}

// TestR02_AccountForms: what the forms of an account do to another's objects is what they do to nothing.
func TestR02_AccountForms(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	file := s.shelve("1.0.0")
	for pattern, ids := range map[string][2]string{"/account/licenses/%s": {s.B.License, nothing("lic_")}, "/account/keys/%s/rotate": {s.B.APIKeyID, nothing("key_")}, "/account/keys/%s/revoke": {s.B.APIKeyID, nothing("key_")},
		"/account/keys/%s/disable": {s.B.APIKeyID, nothing("key_")}, "/account/keys/%s/enable": {s.B.APIKeyID, nothing("key_")}, "/account/downloads/%s": {nothing("file_"), "file_0"}} {
		form := func() url.Values { return url.Values{"once": {licenseOnce()}, "overlap": {"0"}} }
		a, b := s.browse(s.A.Session, fmt.Sprintf(pattern, ids[0]), form()), s.browse(s.A.Session, fmt.Sprintf(pattern, ids[1]), form())
		if a.Code != http.StatusNotFound || a.Code != b.Code || plain(a) != plain(b) {
			t.Errorf("%s answered %d for another's, %d for nothing: %s", pattern, a.Code, b.Code, a.Body)
		}
	}
	if w := s.browse(s.A.Session, "/account/downloads/"+file, url.Values{"once": {licenseOnce()}, "license": {s.B.License}}); w.Code != http.StatusNotFound {
		t.Errorf("a download by another's license answered %d", w.Code)
	}
	if w := s.browse(s.B.Session, "/account/keys/"+s.B.APIKeyID, nil); !strings.Contains(w.Body.String(), ">Active<") {
		t.Error("another's key was changed")
	}
}

var onces atomic.Int64

// licenseOnce is the token of a form that was never sent.
func licenseOnce() string { return fmt.Sprintf("form-%032d", onces.Add(1)) }

// TestAccountPages_Queries: a page of an account asks the database three times at most, apart from who visits, which a service that follows
// the change feed remembers.
func TestAccountPages_Queries(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	s.shelve("1.0.0")
	cost := func(path string) int64 {
		s.browse(s.A.Session, path, nil)
		before := s.rows.n.Load()
		s.browse(s.A.Session, path, nil)
		return s.rows.n.Load() - before
	}
	who := cost("/sign-in/again")
	for _, path := range accountPages(&s.A) {
		if n := cost(path) - who; n > 3 || n < 1 {
			t.Errorf("%s asks the database %d times", path, n)
		}
	}
}

// TestU11_KeysAreShownToAFreshSignIn: a license key and a new API key are shown in the answer to the form, once the sign-in is fresh, and
// never stand in an address; an older sign-in is led to its password and back to the page.
func TestU11_KeysAreShownToAFreshSignIn(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		license, key := "/account/licenses/"+s.A.License, "/account/keys/"+s.A.APIKeyID+"/rotate"
		for _, path := range []string{license, key} {
			if w := s.browse(s.Stale, path, url.Values{"once": {licenseOnce()}}); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sign-in/again?next="+url.QueryEscape(path) {
				t.Errorf("%s answered an old sign-in %d %s", path, w.Code, w.Header().Get("Location"))
			}
		}
		if w := s.browse(s.A.Session, license, nil); strings.Contains(w.Body.String(), s.A.Key) || !strings.Contains(w.Body.String(), s.A.Key[len(s.A.Key)-4:]) {
			t.Error("the page of the license shows its key unasked, or not its end")
		}
		if w := s.browse(s.A.Session, license, url.Values{"once": {licenseOnce()}}); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), s.A.Key) {
			t.Errorf("the key was not shown: %d", w.Code)
		}
		form := url.Values{"once": {formToken(t, s.browse(s.A.Session, key, nil))}, "overlap": {"3600"}}
		w := s.browse(s.A.Session, key, form)
		shown := regexp.MustCompile(`mtr_test_[0-9A-Za-z_]+`).FindString(w.Body.String())
		if w.Code != http.StatusOK || shown == "" {
			t.Fatalf("no new key was shown: %d %s", w.Code, w.Body)
		}
		if again := s.browse(s.A.Session, key, form); !strings.Contains(again.Body.String(), shown) {
			t.Error("the form sent twice made another key")
		}
		for _, bearer := range []string{shown, s.A.APIKey} {
			if a := s.send(request{Method: "GET", Path: "/v1/keys/authorize?product=" + s.Product + "&env=test", As: "Bearer " + bearer}); a.Code != http.StatusOK {
				t.Errorf("a key within the overlap answered %d: %s", a.Code, a.Body)
			}
		}
		if w := s.browse(s.A.Session, key, url.Values{"once": {licenseOnce()}, "overlap": {"never"}}); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "whole number") {
			t.Errorf("a wrong overlap answered %d", w.Code)
		}
	})
}

// TestAccountPages_Acts: a customer releases a device after having been asked, disables, enables and revokes a key, and saves the license
// file and the receipt.
func TestAccountPages_Acts(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		lead := func(path string, form url.Values, to, said string) {
			t.Helper()
			w := s.browse(s.A.Session, path, form)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
				t.Fatalf("%s answered %d %s: %s", path, w.Code, w.Header().Get("Location"), w.Body)
			}
			if after := s.browse(s.A.Session, to, nil).Body.String(); !strings.Contains(after, said) {
				t.Errorf("after %s the page does not say %q", path, said)
			}
		}
		license := "/account/licenses/" + s.A.License
		release := license + "/devices/" + s.A.Activation + "/release"
		if w := s.browse(s.A.Session, release, nil); !strings.Contains(w.Body.String(), "Without a network it may go on until") {
			t.Error("the question does not say until when the device may go on")
		}
		lead(release, url.Values{"once": {licenseOnce()}}, license, "without a seat")
		lead(release, nil, license, "No device holds a seat")
		key := "/account/keys/" + s.A.APIKeyID
		lead(key+"/disable", url.Values{"once": {licenseOnce()}}, key, ">Disabled<")
		lead(key+"/enable", url.Values{"once": {licenseOnce()}}, key, ">Active<")
		lead(key+"/revoke", url.Values{"once": {licenseOnce()}, "reason": {"leaked"}}, key, ">Revoked<")
		lead(key+"/enable", url.Values{"once": {licenseOnce()}}, key, ">Revoked<")
		for path, want := range map[string]string{license + "/token": "application/octet-stream", "/checkout/" + s.A.Order + "/receipt.html": "text/html; charset=utf-8", "/checkout/" + s.A.Order + "/receipt.pdf": "application/pdf"} {
			if w := s.browse(s.A.Session, path, nil); w.Code != http.StatusOK || w.Header().Get("Content-Type") != want || w.Body.Len() < 100 {
				t.Errorf("%s answered %d %q with %d bytes", path, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
			}
		}
	})
}

// TestD06_D11_AccountDownloads: the newest version that a license covers is offered first, older ones below it, those that came out after its
// updates ended with the reason; the button leads to a link whose page looks like the others, runs nothing of its own and tells no other site where
// it is, and the file comes from there.
func TestD06_D11_AccountDownloads(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		s.shelve("1.0.0")
		file := s.shelve("1.1.0")
		if n, err := s.rows.db.Exec(t.Context(), `UPDATE license SET updates_until = $2 WHERE id = $1`, s.A.License, s.clock.Now().Add(time.Minute)); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		s.clock.Advance(2 * time.Minute)
		s.shelve("2.0.0")
		page := s.browse(s.A.Session, "/account/downloads", nil).Body.String()
		for _, want := range []string{"Version 1.1.0", "1 older version", "1 version not covered", "after the updates of your license ended", "What is new in 1.1.0"} {
			if !strings.Contains(page, want) {
				t.Errorf("the downloads do not say %q", want)
			}
		}
		if strings.Contains(page, "alpha-2.0.0") || strings.Index(page, "Version 1.1.0") > strings.Index(page, "Version 1.0.0") {
			t.Error("the order of versions, or a file that is not covered")
		}
		w := s.browse(s.A.Session, "/account/downloads/"+file, url.Values{"once": {licenseOnce()}, "license": {s.A.License}})
		at, ours := strings.CutPrefix(w.Header().Get("Location"), s.base)
		if w.Code != http.StatusSeeOther || !ours || !strings.HasPrefix(at, "/download/") {
			t.Fatalf("the button answered %d %s: %s", w.Code, w.Header().Get("Location"), w.Body)
		}
		link := s.browse(s.A.Session, at, nil)
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"} {
			if got := link.Header().Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		if csp := link.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("the policy of the link's page is %q", csp)
		}
		if body := link.Body.String(); link.Code != http.StatusOK || !strings.Contains(body, "/assets/style.css") || !strings.Contains(body, "alpha-1.1.0.tar.gz") || strings.Contains(body, "<style") || !strings.Contains(link.Header().Get("Cache-Control"), "no-store") {
			t.Errorf("the page of the link answered %d %s", link.Code, body)
		}
		w = s.browse("", at, url.Values{})
		if bytes := s.browse("", w.Header().Get("Location"), nil); bytes.Body.String() != "the program 1.1.0" {
			t.Errorf("the file is %q", bytes.Body)
		}
		if w := s.browse("", at[:len(at)-2]+"xx", nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "/assets/style.css") {
			t.Errorf("a wrong link answered %d %s", w.Code, w.Body)
		}
	})
}

// TestX01_AccountPages: names of devices, keys, products and features, notes and reasons that hold markup are shown as the text that they are.
func TestX01_AccountPages(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	const evil = `"'><img src=x onerror=alert(1)><script>alert(1)</script>`
	s.must(request{Method: "POST", Path: "/v1/activations", As: "License " + s.A.Key, Body: object{"product": s.Slug, "env": "test", "device": device("e"), "name": evil}, Bare: true}, nil)
	s.must(request{Method: "PATCH", Path: "/v1/products/" + s.Product, As: cli, Body: object{"name": evil, "description": evil}, Bare: true}, nil)
	s.must(request{Method: "PATCH", Path: "/v1/licenses/" + s.A.License, As: cli, Body: object{"licensee": evil, "reason": evil, "entitlements": object{"export": evil}}, Bare: true}, nil)
	var made struct{ Key struct{ ID string } }
	s.must(request{Method: "POST", Path: "/v1/keys", As: cli, Body: object{"owner": s.A.ID, "product": s.Product, "env": "test", "name": evil}, Bare: true}, &made)
	s.shelve("1.0.0")
	s.must(request{Method: "POST", Path: "/v1/licenses/" + s.A.License + "/suspend", As: cli, Body: object{"reason": evil}}, nil)
	var devices struct{ Items []struct{ ID, Name string } }
	s.must(request{Method: "GET", Path: "/v1/licenses/" + s.A.License + "/activations", As: s.A.Session}, &devices)
	pages := append(accountPages(&s.A), "/account/keys/"+made.Key.ID, "/account/keys/"+made.Key.ID+"/rotate", "/account/keys/"+made.Key.ID+"/revoke", "/account/licenses/"+s.A.License+"/devices/"+devices.Items[0].ID+"/release")
	shown := 0
	for _, path := range pages {
		w := s.browse(s.A.Session, path, nil)
		body := w.Body.String()
		if strings.Contains(body, "<img") || strings.Contains(body, "<script>") || w.Code != http.StatusOK {
			t.Errorf("%s (%d) has markup of others", path, w.Code)
		}
		shown += strings.Count(body, "&lt;img src=x onerror")
	}
	if shown < len(pages)/2 {
		t.Errorf("the hostile texts are shown %d times only", shown)
	}
}

// TestU04_AccountForms: a form that another site sends, or that no browser sends, changes nothing; neither does one in another encoding.
func TestU04_AccountForms(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	path := "/account/keys/" + s.A.APIKeyID + "/disable"
	for name, header := range map[string]http.Header{"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}}, "foreign origin": {"Origin": {"https://evil.example"}}, "null origin": {"Origin": {"null"}}, "neither": {},
		"text/plain": {"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"text/plain"}}} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("once="+licenseOnce()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range header {
			r.Header[k] = v
		}
		r.AddCookie(&http.Cookie{Name: "mintreu-session", Value: strings.TrimPrefix(s.A.Session, "Bearer ")})
		w := httptest.NewRecorder()
		s.app.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden && w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: answered %d", name, w.Code)
		}
	}
	if w := s.browse(s.A.Session, "/account/keys/"+s.A.APIKeyID, nil); !strings.Contains(w.Body.String(), ">Active<") {
		t.Error("the key was changed")
	}
}
