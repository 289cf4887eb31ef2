package e2e_test

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
