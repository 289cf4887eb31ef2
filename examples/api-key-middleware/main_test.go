package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mintreu/mintreu/sdk/guard"
)

// TestHandler: notes are read with a key that Mintreu finds good for notes:read and by nobody else, and whether the API runs is no
// secret. The end-to-end tests run the same program against the real service.
func TestHandler(t *testing.T) {
	t.Parallel()
	const refusal = `{"title":"Unauthorized","status":401,"code":"unauthorized"}`
	mintreu := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" || r.URL.Query().Get("scope") != "notes:read" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, refusal)
			return
		}
		_, _ = io.WriteString(w, `{"key_id":"key_1","owner":"cus_1","product":"prod_1"}`)
	}))
	t.Cleanup(mintreu.Close)
	h, err := handler(guard.Config{BaseURL: mintreu.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, key string
		status    int
		body      string
	}{{"/notes", "Bearer good", 200, "notes of cus_1\n"}, {"/notes", "Bearer stolen", 401, refusal}, {"/healthz", "", 200, "ok\n"}} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("Authorization", c.key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s with %q: %d %q, want %d %q", c.path, c.key, w.Code, w.Body, c.status, c.body)
		}
	}
	if _, err := handler(guard.Config{BaseURL: "nowhere"}); err == nil {
		t.Error("an address that is none was taken")
	}
}
