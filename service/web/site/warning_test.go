package site_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/web/site"
)

// members takes "staff" and "customer" for sessions.
type members struct{}

func (members) Authenticate(_ context.Context, _, token string) (licensing.Actor, error) {
	switch token {
	case "staff":
		return licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleSupport}, nil
	case "customer":
		return licensing.Actor{Kind: licensing.Customer, ID: "cus_2", Owner: "cus_2"}, nil
	}
	return licensing.Actor{}, licensing.ErrNotFound
}

// TestWarning: what staff must know stands above every page of the console as long as it is so; on pages of
// customers and strangers it never does, whoever looks.
func TestWarning(t *testing.T) {
	t.Parallel()
	said := ""
	s, err := site.New(site.Config{BaseURL: "http://127.0.0.1", Key: make([]byte, 32), Auth: members{}, Routes: httpapi.AccountRoutes(nil), Warning: func() string { return said }})
	if err != nil {
		t.Fatal(err)
	}
	banner := func(who string, of site.Audience) (out string) {
		h := s.Handler(site.Page{Name: "page.test", Pattern: "GET /x", For: of, Serve: func(v *site.Visit) error {
			out = v.Frame("x").Banner
			v.W.WriteHeader(http.StatusNoContent)
			return nil
		}})
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.AddCookie(&http.Cookie{Name: "mintreu-session", Value: who})
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusNoContent {
			t.Fatalf("%s: %d %s", who, w.Code, w.Body)
		}
		return out
	}
	for _, text := range []string{"", "The counters are away.", ""} {
		said = text
		if got := banner("staff", site.Staff); got != text {
			t.Errorf("the console says %q, want %q", got, text)
		}
		for who, of := range map[string]site.Audience{"staff": site.Anyone, "customer": site.Customers} {
			if got := banner(who, of); got != "" {
				t.Errorf("%s reads %q", who, got)
			}
		}
	}
}
