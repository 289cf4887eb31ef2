package e2e_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// F20, M11: while PostgreSQL is away the service says so, on the page for load balancers and to every caller, and a kill switch stays as it
// was last known; when the server is back, the same process works again within five seconds, besides what orders take on this machine, and
// what was ordered before is there.
func TestF20_M11_DatabaseAway(t *testing.T) {
	t.Parallel()
	p := dbtest.PrivatePostgres(t)
	s := newSite(t, siteOptions{}, app.Config{PostgresURL: p.URL, MasterKeyFile: filepath.Join(shortDir(t), "master.key")}, 1)
	before := s.order(t, 1)
	s.flip(t, "signup", "", true)

	checkout := func() (int, string) { return s.answer(t, "/v1/checkouts", s.newPurchase(1).basket()) }
	signUp := func() (int, string) {
		return s.answer(t, "/v1/accounts", map[string]any{"email": "ada@example.com"})
	}
	ready := func() int {
		status, _, _ := fetch(t.Context(), http.MethodGet, s.url+"/readyz", nil, nil)
		return status
	}
	eventually(t, "signing up is off", time.Minute, func() bool { _, code := signUp(); return code == "switched-off" })

	began := time.Now() // what this machine takes for an order when nothing is amiss comes on top of the five seconds
	if status, code := checkout(); status != http.StatusCreated {
		t.Fatalf("an order before: %d %s", status, code)
	}
	usual := time.Since(began)

	if err := p.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not ready", time.Minute, func() bool { return ready() == http.StatusServiceUnavailable })
	for range 3 {
		if status, code := checkout(); status != http.StatusServiceUnavailable || code != "database-unavailable" {
			t.Errorf("an order while the database is away: %d %s", status, code)
		}
		if status, code := signUp(); status != http.StatusServiceUnavailable || code != "switched-off" {
			t.Errorf("the switch as last known: %d %s", status, code)
		}
	}
	if status, _, err := fetch(t.Context(), http.MethodGet, s.url+"/healthz", nil, nil); err != nil || status != http.StatusOK {
		t.Errorf("the process itself: %d %v", status, err)
	}

	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	eventually(t, "ready and taking orders", time.Minute, func() bool {
		if ready() != http.StatusOK {
			return false
		}
		status, _ := checkout()
		return status == http.StatusCreated
	})
	if took := time.Since(back); took > 5*time.Second+2*usual {
		t.Errorf("ready and taking orders %v after PostgreSQL was back; want at most 5 s and what two orders take, %v each", took, usual)
	}
	if _, code := signUp(); code != "switched-off" {
		t.Errorf("the switch after the return: %s", code)
	}
	if err := before.pay(t.Context(), sandbox.CardSucceeds); err != nil {
		t.Fatal(err)
	}
	s.bought(t, before)
	s.sound(t)
}

// answer posts a request and returns the answer's status and, of a problem, its code.
func (s *site) answer(t *testing.T, at string, in any) (status int, code string) {
	t.Helper()
	status, text, err := fetch(t.Context(), http.MethodPost, s.url+at, nil, in)
	if err != nil {
		t.Errorf("%s: %v", at, err)
	}
	var problem struct{ Code string }
	if status >= 400 {
		if err := json.Unmarshal([]byte(text), &problem); err != nil {
			t.Errorf("%s answered %d with no problem details: %s", at, status, text)
		}
	}
	return status, problem.Code
}
