package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestProtect: a request passes exactly when Mintreu says so; refusals and what they say of the limits reach the caller, an
// outage refuses with 503, and nothing of the request but its key is sent on. The end-to-end tests run the same middleware
// against the real service.
func TestProtect(t *testing.T) {
	t.Parallel()
	mintreu := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/keys/authorize" || r.URL.Query().Get("scope") != "notes:read" || r.Header.Get("Cookie") != "" {
			t.Errorf("asked for %s with cookie %q", r.URL, r.Header.Get("Cookie"))
		}
		switch r.Header.Get("Authorization") {
		case "Bearer good":
			w.Header().Set("X-Mintreu-Owner", "cus_1")
			w.Header().Set("RateLimit", `"calls";r=4;t=12`)
		case "Bearer spent":
			w.Header().Set("Retry-After", "12")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"code":"rate-limited"}`)
		case "Bearer outage":
			w.WriteHeader(http.StatusBadGateway)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(mintreu.Close)
	api := Guard{Mintreu: mintreu.URL + "/", Scope: "notes:read", Client: &http.Client{Timeout: 10 * time.Second}}.Protect(http.HandlerFunc(notes))
	for _, c := range []struct {
		key           string
		status        int
		body          string
		header, value string
	}{
		{"Bearer good", 200, "notes of cus_1\n", "RateLimit", `"calls";r=4;t=12`},
		{"Bearer spent", 429, `{"code":"rate-limited"}`, "Retry-After", "12"},
		{"Bearer outage", 503, "", "Retry-After", ""},
		{"", 401, "", "RateLimit", ""},
	} {
		r := httptest.NewRequest("GET", "/notes", nil)
		r.Header.Set("Authorization", c.key)
		r.Header.Set("Cookie", "session=private")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		got := fmt.Sprint(w.Code, " ", w.Header().Get(c.header))
		if got != fmt.Sprint(c.status, " ", c.value) || c.body != "" && w.Body.String() != c.body {
			t.Errorf("key %q: %s, body %q; want %d %s, body %q", c.key, got, w.Body.String(), c.status, c.value, c.body)
		}
	}
}

// TestProtect_Unreachable: without Mintreu nothing passes.
func TestProtect_Unreachable(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	w := httptest.NewRecorder()
	Guard{Mintreu: gone.URL, Client: &http.Client{Timeout: 10 * time.Second}}.Protect(http.HandlerFunc(notes)).ServeHTTP(w, httptest.NewRequest("GET", "/notes", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
}
