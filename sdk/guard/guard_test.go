package guard_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/guard"
)

// api is a handler behind a guard that asks a Mintreu which answers as fn does.
func api(t *testing.T, c guard.Config, fn http.HandlerFunc) http.Handler {
	t.Helper()
	mintreu := httptest.NewServer(fn)
	t.Cleanup(mintreu.Close)
	c.BaseURL, c.Client = mintreu.URL+"/", &http.Client{Timeout: 10 * time.Second}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := guard.CallerFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%+v %t", c, ok)
	}), "notes:read", "notes:list")
}

func call(h http.Handler, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/notes?private=1", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Header.Set("Cookie", "session=private")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestRequire: a request passes exactly when Mintreu says so, and the handler
// learns whose key it was; refusals and what they say of the limits reach the
// caller; whatever is no answer of Mintreu's refuses with 503; nothing of the
// request but its key and address is sent on; without a key nobody is asked.
func TestRequire(t *testing.T) {
	t.Parallel()
	asked := 0
	var log strings.Builder
	h := api(t, guard.Config{Env: "live", Product: "prod_1", Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/v1/keys/authorize" || r.URL.RawQuery != "env=live&product=prod_1&scope=notes%3Aread&scope=notes%3Alist" || r.Header.Get("Cookie") != "" || r.Header.Get("X-Forwarded-For") != "192.0.2.1" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		good := `{"key_id":"key_1","owner":"cus_1","product":"prod_1","plan":"pro"}`
		switch r.Header.Get("Authorization") {
		case "Bearer good":
			w.Header().Set("RateLimit", `"calls";r=4;t=12`)
			_, _ = io.WriteString(w, good)
		case "Bearer spent":
			w.Header().Set("Retry-After", "12")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"code":"rate-limited"}`)
		case "Bearer proxy": // of the network between, which wants a password of its own
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "<html>Who are you?</html>")
		case "Bearer firewall":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html>blocked</html>")
		case "Bearer edge":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"code":"too-many"}`)
		case "Bearer outage":
			w.WriteHeader(http.StatusBadGateway)
		case "Bearer moved":
			http.Redirect(w, r, "http://192.0.2.2/", http.StatusTemporaryRedirect)
		case "Bearer page":
			_, _ = io.WriteString(w, "<html>welcome to the hotel's network</html>")
		case "Bearer long":
			_, _ = io.WriteString(w, good+strings.Repeat(" ", 64<<10))
		default:
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"code":"unauthorized"}`)
		}
	})
	for _, c := range []struct {
		authorization string
		status        int
		body          string
		header, value string
	}{
		{"Bearer good", 200, "{Key:key_1 Owner:cus_1 Plan:pro} true", "RateLimit", `"calls";r=4;t=12`},
		{"Bearer spent", 429, `{"code":"rate-limited"}`, "Retry-After", "12"},
		{"Bearer outage", 503, `"code":"unavailable"`, "Retry-After", "1"},
		{"Bearer moved", 503, `"code":"unavailable"`, "Retry-After", "1"},
		{"Bearer page", 503, `"code":"unavailable"`, "RateLimit", ""},
		{"Bearer long", 503, `"code":"unavailable"`, "RateLimit", ""},
		{"Bearer unknown", 401, `{"code":"unauthorized"}`, "WWW-Authenticate", "Bearer"},
		{"Bearer proxy", 503, `"code":"unavailable"`, "WWW-Authenticate", ""},
		{"Bearer firewall", 503, `"code":"unavailable"`, "Retry-After", "1"},
		{"Bearer edge", 503, `"code":"unavailable"`, "Retry-After", "1"},
	} {
		w := call(h, c.authorization)
		if w.Code != c.status || w.Header().Get(c.header) != c.value || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%q: %d, %s %q, body %q; want %d, %q, body %q", c.authorization, w.Code, c.header, w.Header().Get(c.header), w.Body, c.status, c.value, c.body)
		}
	}
	if !strings.Contains(log.String(), "502") || strings.Contains(log.String(), "outage") {
		t.Errorf("the log says %q", log.String())
	}
	before := asked
	for _, none := range []string{"", "Bearer", "Bearer ", "Basic Z29vZA==", "good"} {
		if w := call(h, none); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" || !strings.Contains(w.Body.String(), `"code":"unauthorized"`) {
			t.Errorf("%q: %d %s", none, w.Code, w.Body)
		}
	}
	if asked != before {
		t.Errorf("Mintreu was asked %d times about no key", asked-before)
	}
}

// TestRequire_Unreachable: without Mintreu nothing passes.
func TestRequire_Unreachable(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	g, err := guard.New(guard.Config{BaseURL: gone.URL})
	if err != nil {
		t.Fatal(err)
	}
	if w := call(g.Require(http.NotFoundHandler()), "Bearer good"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
}

// TestNew: mistakes of configuration are errors, and a key is not sent in
// plain text to another machine unless that is said to be fine.
func TestNew(t *testing.T) {
	t.Parallel()
	for _, bad := range []guard.Config{
		{}, {BaseURL: "shop.example"}, {BaseURL: "http://shop.example"}, {BaseURL: "https://user:pass@shop.example"}, {BaseURL: "https://shop.example?x=1"},
		{BaseURL: "ftp://127.0.0.1"}, {BaseURL: "https://shop.example/%zz"}, {BaseURL: "https://shop.example", Env: "staging"}, {BaseURL: "https://shop.example", Product: "editor"},
	} {
		if _, err := guard.New(bad); err == nil || !strings.HasPrefix(err.Error(), "guard: ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, good := range []guard.Config{{BaseURL: "https://shop.example/"}, {BaseURL: "http://localhost:8080", Env: "test"}, {BaseURL: "http://[::1]:8080"}, {BaseURL: "http://mintreu:8080", Plain: true}} {
		if _, err := guard.New(good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

type license map[string]bool

func (l license) Allowed(feature string) bool { return l[feature] }

// TestFeature: a request passes exactly while the license grants the feature.
func TestFeature(t *testing.T) {
	t.Parallel()
	l := license{"export": true}
	h := guard.Feature(l, "export", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }))
	if w := call(h, ""); w.Code != 200 || w.Body.String() != "done" {
		t.Errorf("granted: %d %s", w.Code, w.Body)
	}
	l["export"] = false
	if w := call(h, ""); w.Code != 403 || !strings.Contains(w.Body.String(), `"code":"feature-not-licensed"`) || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("not granted: %d %s", w.Code, w.Body)
	}
}

// TestRequire_NetworkNotNamed: that Mintreu does not tell this server is no
// fault of the caller, so he is asked to come back and the log says what to do.
func TestRequire_NetworkNotNamed(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	mintreu := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"code":"authorize-from"}`)
	}))
	t.Cleanup(mintreu.Close)
	g, err := guard.New(guard.Config{BaseURL: mintreu.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if w := call(g.Require(http.NotFoundHandler()), "Bearer good"); w.Code != http.StatusServiceUnavailable || !strings.Contains(log.String(), "--authorize-from") {
		t.Errorf("status %d, log %s", w.Code, log.String())
	}
}
