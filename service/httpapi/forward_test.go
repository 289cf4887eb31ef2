package httpapi_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/httpapi"
)

// TestI08_HeldBodiesEnd: whoever asks as a proxy does that keeps the method of what it holds, and announces a body that never comes, is
// answered, or let go, within ten seconds; one whose body comes is answered and may go on with the connection.
func TestI08_HeldBodiesEnd(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: httpapi.ForwardAuth(h)})
	for what, raw := range map[string]string{
		"a length": "POST /v1/keys/authorize/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
		"chunks":   "POST /v1/keys/authorize/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			began := time.Now()
			_ = c.SetDeadline(began.Add(20 * time.Second))
			if _, err := io.WriteString(c, raw); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("lived for %v: %q, %v", took, answer, err)
			}
		})
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	const one = "POST /v1/keys/authorize/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
	if _, err := io.WriteString(c, one+one+"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || strings.Count(string(answer), "HTTP/1.1 ") != 3 || !strings.Contains(string(answer), `"live"`) {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestForwardAuth_AsksForAll: a header that comes twice, once from the caller, asks for what both say: nobody takes away what a proxy asks for.
func TestForwardAuth_AsksForAll(t *testing.T) {
	t.Parallel()
	for _, asks := range [][]string{{"scope=notes:read", "env=live&scope=notes:write"}, {"env=live&scope=notes:write", "scope=notes:read"}, {"", "env=live&scope=notes:read&scope=notes:write"}} {
		var got []string
		h := httpapi.ForwardAuth(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			got = append(q["scope"], q["env"]...)
		}))
		r := httptest.NewRequest("POST", "/v1/keys/authorize/notes?scope=none", strings.NewReader("{}"))
		r.Header["X-Mintreu-Ask"] = asks
		h.ServeHTTP(httptest.NewRecorder(), r)
		if len(got) != 3 || !strings.Contains(strings.Join(got, " "), "notes:write") || !strings.Contains(strings.Join(got, " "), "notes:read") || got[2] != "live" {
			t.Errorf("%q asks for %q", asks, got)
		}
	}
}
