package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestM10_TracesHoldNoSecret: what is sent as a path, a query, a credential, a cookie, a header or a body reaches no trace, for requests that
// are served and for those that are refused; the spans are there, with the patterns of their paths.
func TestM10_TracesHoldNoSecret(t *testing.T) {
	var mu sync.Mutex
	var sent bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&sent, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(func() { // after the service has ended, and with it what waits to be sent
		collector.Close()
		spans := sent.String()
		for _, want := range []string{"/confirm/{token}", "/v1/sessions", "/v1/catalog/{slug}"} {
			if !strings.Contains(spans, want) {
				t.Errorf("the traces do not name %s", want)
			}
		}
		for _, part := range strings.Split(spans, "canary")[1:] {
			t.Errorf("a trace holds a secret: canary%.60q", part)
		}
		if len(spans) < 2000 {
			t.Errorf("the traces have %d bytes only", len(spans))
		}
	})
	s := bareStage(t, app.Config{OTLPEndpoint: collector.URL})
	for i, at := range []string{"/confirm/canary-link", "/v1/checkouts/canary-order?access=canary-access", "/checkout/canary-order?access=canary-access", "/v1/catalog/canary-slug", "/v1/downloads/canary-download",
		"/d/canary-download", "/v1/me?token=canary-token", "/canary-path?q=canary-query", "/catalogue?q=canary-search", "/v1/tickets/canary-ticket?access=canary-code"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, "BREW"} {
			r, err := http.NewRequestWithContext(t.Context(), method, s.url+at, strings.NewReader(`{"email": "canary@example.com", "password": "canary-password"}`))
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range map[string]string{"Authorization": "Bearer canary-bearer", "Cookie": "mintreu-session=canary-session", "User-Agent": "canary-agent", "Referer": "https://canary.example/?canary-referer", "X-Forwarded-For": "canary-address",
				"X-Request-Id": "canary-request", "Idempotency-Key": "canary-key", "Content-Type": "application/json", "Traceparent": "canary-parent", "Tracestate": "canary=state", "Baggage": "secret=canary-baggage"} {
				if i%2 == 0 || name != "Authorization" {
					r.Header.Set(name, v)
				}
			}
			res, err := browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
	}
	status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/sessions", nil, object{"email": "canary@example.com", "password": "canary-password"})
	if err != nil || status != http.StatusUnauthorized {
		t.Fatalf("signing in answered %d %s (%v)", status, text, err)
	}
}
