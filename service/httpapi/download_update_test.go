package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A product learns of the highest version that is published on its channel and fits the installed one, as a signed document that
// anybody may read; what is withdrawn is told no more, and nothing is a failure with a code of its own.
func TestUpdate_NewestRelease(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	s := newShelf(t, e, perpetual())
	version := func(query string) string {
		t.Helper()
		a := s.do("GET", "/v1/updates/editor"+query, "")
		if a.StatusCode == http.StatusNotFound && a.code() == "no-release" {
			return "none"
		}
		if a.StatusCode != http.StatusOK || a.Header.Get("ETag") == "" || a.Header.Get("Content-Type") != "application/jwt" {
			t.Fatalf("%s: %d %s", query, a.StatusCode, a.body)
		}
		parts := strings.Split(string(a.body), ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		var claims doc.Release
		if err != nil || json.Unmarshal(payload, &claims) != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		return claims.Version
	}
	if got := version(""); got != "none" {
		t.Fatalf("nothing is published: %s", got)
	}
	content := []byte("program")
	s.release(`{"version":"2.0.0"}`, content)
	s.release(`{"version":"1.9.1"}`, content)
	s.release(`{"version":"3.0.0","from_min":"2.0.0"}`, content)
	s.release(`{"version":"4.0.0-rc1","channel":"beta"}`, content)
	now := strconv.FormatInt(e.Clock.Now().Unix(), 10)
	for query, want := range map[string]string{"?max=2": "2.0.0", "?max=1.9": "1.9.1", "?max=1.8": "none", "?until=" + now: "3.0.0", "?until=1": "none", "": "3.0.0", "?from=1.0.0": "2.0.0", "?from=2.0.1": "3.0.0", "?channel=beta": "4.0.0-rc1", "?channel=none": "none", "?from=x'--": "2.0.0"} {
		if got := version(query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	for _, bad := range []string{"soon", "-1", "0", "1.5", "99999999999999999999"} {
		if a := s.do("GET", "/v1/updates/editor?until="+bad, ""); a.StatusCode != http.StatusBadRequest || a.code() != "update-until" {
			t.Errorf("until %s: %d %s", bad, a.StatusCode, a.code())
		}
	}
	if a := s.do("GET", "/v1/updates/nothing", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("another product: %d", a.StatusCode)
	}
}
