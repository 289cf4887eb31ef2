package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/guard"
	"github.com/mintreu/mintreu/service/app"
)

// TestExampleAPIKey: the API of examples/api-key-middleware, built and run as it is, serves the holder of a key that the real service issued
// until the key's limit, passes the refusal on with its Retry-After, and refuses a stranger.
func TestExampleAPIKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, app.Config{DataDir: shortDir(t)}, 1)
	_, key := s.issue(t, 2, "closed")
	bin := filepath.Join(t.TempDir(), "api-key-middleware")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "github.com/mintreu/mintreu/examples/api-key-middleware").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr := freeAddr(t)
	background(t, nil, bin, "-mintreu", s.url, "-addr", addr, "-env", "test")
	call := func(credential string) (int, string, http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/notes", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+credential)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error(), nil
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body), res.Header
	}
	eventually(t, "the example to answer a stranger with 401", time.Minute, func() bool {
		status, _, _ := call("mtr_test_nobody")
		return status == http.StatusUnauthorized
	})
	for range 2 {
		if status, body, _ := call(key); status != http.StatusOK || !strings.Contains(body, "notes of cus_") {
			t.Fatalf("a good key: %d %s", status, body)
		}
	}
	if status, body, header := call(key); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, `"code"`) {
		t.Errorf("a spent key: %d %s %v", status, body, header)
	}
}

// A handler whose work costs what is known only afterwards, behind the SDK's guard and the real service: what it did not spend of what was
// reserved is there for the next request, and what was not reserved is refused.
func TestGuard_ReservesAndSettles(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, app.Config{DataDir: shortDir(t)}, 1)
	_, key := s.issue(t, 10, "closed")
	var machine struct{ Secret string }
	s.must(t, http.MethodPost, "/v1/machine-tokens", object{"name": "guard", "scopes": []string{"keys:verify"}}, &machine)
	g, err := guard.New(guard.Config{BaseURL: s.url, Env: "test", Token: machine.Secret})
	if err != nil {
		t.Fatal(err)
	}
	h := g.Reserve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/little":
			guard.Spend(r.Context(), 2)
		case "/broken":
			panic(http.ErrAbortHandler)
		}
	}), 6, time.Minute, "notes:read")
	for _, c := range []struct {
		path, key string
		status    int
		left      string // after the reservation
	}{
		{"/little", key, 200, "r=4"}, // of ten
		{"/broken", key, 200, "r=2"}, // of eight, and costs nothing
		{"/whole", key, 200, "r=2"},
		{"/little", key, 429, "r=2"}, // two are left, for what may cost six
		{"/little", "mtr_test_nobody", 401, ""},
	} {
		r, w := httptest.NewRequest(http.MethodGet, c.path, nil), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+c.key)
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(w, r)
		}()
		if w.Code != c.status || !strings.Contains(w.Header().Get("RateLimit"), c.left) || (c.status == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %d %s %v, want %d %s", c.path, w.Code, w.Body, w.Header(), c.status, c.left)
		}
	}
}
