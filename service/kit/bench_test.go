package kit_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/kit"
)

// BenchmarkStack compares a whole operation with a bare handler that reads and writes the same JSON, over one connection of a real
// server each. The operation is to keep 0.75 of the bare handler's rate.
func BenchmarkStack(b *testing.B) {
	h := newHouse(b, func(s *kit.Stack) {
		s.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
		s.Rate = 1e9
	})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req widgetBreak
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(widget{})
	})
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"operation", h.mux}} {
		b.Run(c.name, func(b *testing.B) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			client := server.Client()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Post(server.URL+"/v1/break", "application/json", strings.NewReader(`{"how":""}`))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					b.Fatal(resp.Status)
				}
			}
		})
	}
}

// BenchmarkHandler is BenchmarkStack without the network: what the chain itself costs.
func BenchmarkHandler(b *testing.B) {
	h := newHouse(b, func(s *kit.Stack) {
		s.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
		s.Rate = 1e9
	})
	body := []byte(`{"how":""}`)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/v1/break", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.mux.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
