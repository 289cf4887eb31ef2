package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

// shows asks a replica whether one of its pages shows a text: 200 when it does, 404 when it does not.
func shows(t *testing.T, at, text string) func(*app.App) (int, error) {
	return func(a *app.App) (int, error) {
		status, page, err := fetch(t.Context(), http.MethodGet, a.LocalURL()+at, http.Header{"Accept": {"text/html"}}, nil)
		if err == nil && status == http.StatusOK && !strings.Contains(page, text) {
			status = http.StatusNotFound
		}
		return status, err
	}
}

// A change of what the shop sells, made at one replica, is on the pages of that one at once and on those of both within two seconds, though
// both keep their pages in memory; and so is a price, from the instant on that it was approved for.
func TestPages_ShowChangesOnBothReplicas(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	here := s.replicas[0]
	at := []string{"/", "/catalogue", "/catalogue/" + s.product.slug}
	change := func(what, method, path string, in map[string]any, text string) {
		t.Helper()
		for _, a := range s.replicas { // every page is kept when the change is made
			for _, page := range at {
				if status, err := shows(t, page, "")(a); status != http.StatusOK {
					t.Fatalf("%s answers %d, %v", page, status, err)
				}
			}
		}
		if err := operate(t.Context(), here, method, path, in, nil); err != nil {
			t.Fatal(err)
		}
		for _, page := range at {
			if status, err := shows(t, page, text)(here); status != http.StatusOK {
				t.Errorf("%s: %s of the replica that did it answers %d, %v", what, page, status, err)
			}
		}
		for _, page := range at {
			s.within(t, what+" on "+page, shows(t, page, text), http.StatusOK)
		}
	}
	change("renamed", http.MethodPatch, "/v1/products/"+s.product.product, map[string]any{"name": "Quill and ink"}, "Quill and ink")
	change("a price more", http.MethodPost, "/v1/plans/"+s.product.plan+"/prices", map[string]any{"price": map[string]any{"amount": 3100, "currency": "CHF"}}, "31.00 CHF")
	from := s.clock.Now().Add(time.Minute)
	change("a price to come", http.MethodPost, "/v1/plans/"+s.product.plan+"/prices",
		map[string]any{"price": map[string]any{"amount": 1700, "currency": "AUD"}, "effective_from": from}, "Quill and ink")
	for _, a := range s.replicas {
		if status, err := shows(t, at[2], "17.00 AUD")(a); status != http.StatusNotFound {
			t.Errorf("a price to come is shown: %d, %v", status, err)
		}
	}
	s.clock.Forward(time.Minute)
	s.within(t, "its instant is there", shows(t, at[2]+"?currency=AUD", "17.00 AUD"), http.StatusOK)
}
