package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestU06_LinksOfOneNetwork: whoever asks for the links to orders from one address after another of an IPv6 network is slowed down as one who
// stays at his address is; another network is not.
func TestU06_LinksOfOneNetwork(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{TrustedProxy: []string{"127.0.0.0/8"}})
	ask := func(from string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/checkouts/resend", strings.NewReader(`{"email":"ada@example.com"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", from)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for i := range 20 {
		if status := ask(fmt.Sprintf("2001:db8::%x", i+1)); status > 299 {
			t.Fatalf("number %d: %d", i, status)
		}
	}
	if status := ask("2001:db8::ffff"); status != http.StatusTooManyRequests {
		t.Errorf("the next address of the network: %d", status)
	}
	if status := ask("2001:db8:0:1::1"); status > 299 {
		t.Errorf("another network: %d", status)
	}
}
