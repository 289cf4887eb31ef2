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
	"time"

	"github.com/mintreu/mintreu/service/kit"
)

// BenchmarkStack compares a whole operation with a bare handler that reads and writes the same JSON, over a connection of a real
// server each, in turns. It reports the operation's rate as a share of the bare handler's; 0.75 is to be kept.
func BenchmarkStack(b *testing.B) {
	h := newHouse(b, quiet)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req widgetBreak
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(widget{})
	})
	var took [2]time.Duration
	var servers [2]*httptest.Server
	for i, handler := range []http.Handler{bare, h.mux} {
		servers[i] = httptest.NewServer(handler)
		defer servers[i].Close()
	}
	const batch = 50
	for b.Loop() {
		for i, server := range servers {
			start := time.Now()
			for range batch {
				resp, err := server.Client().Post(server.URL+"/v1/break", "application/json", strings.NewReader(`{"how":""}`))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					b.Fatal(resp.Status)
				}
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "share-of-bare")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(b.N*batch), "ns/operation")
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(b.N*batch), "ns/bare")
}

func quiet(s *kit.Stack) {
	s.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
	s.Rate = 1e9
}

// BenchmarkHandler is the operation of BenchmarkStack without the network: what the chain itself costs.
func BenchmarkHandler(b *testing.B) {
	h := newHouse(b, quiet)
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
