package sandbox

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind is a way in which an API call fails.
type FaultKind string

// The ways in which an API call fails. The first group fails before the call has any effect, the second after it.
const (
	RateLimited  FaultKind = "rate_limited" // 429
	ServerError  FaultKind = "server_error" // 500 with an error in JSON, which the call's Idempotency-Key remembers
	BadGateway   FaultKind = "bad_gateway"  // 502 with a page of HTML
	Unauthorized FaultKind = "unauthorized" // 401
	Timeout      FaultKind = "timeout"      // no answer until the caller gives up
	Reset        FaultKind = "reset"        // connection closed without an answer

	ReplyLost  FaultKind = "reply_lost"  // the effect happens, the connection closes
	BrokenJSON FaultKind = "broken_json" // the effect happens, the answer is cut off
	WrongShape FaultKind = "wrong_shape" // the effect happens, the answer is another JSON value
)

// FaultKinds lists every way to fail.
func FaultKinds() []FaultKind {
	return []FaultKind{RateLimited, ServerError, BadGateway, Unauthorized, Timeout, Reset, ReplyLost, BrokenJSON, WrongShape}
}

// Fault makes the next calls fail.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Method and Path (a prefix) narrow the calls it strikes; empty means any.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Calls is how many calls it strikes, 1 unless said; -1 strikes until [Faults.Clear].
	Calls int `json:"calls,omitempty"`
}

// Faults are the failures waiting for API calls. They live in the process, not in the store. Safe for concurrent use.
type Faults struct {
	mu   sync.Mutex
	next []Fault
}

// Add makes the calls that match f fail, after those faults that were added before.
func (f *Faults) Add(fault Fault) error {
	if !slices.Contains(FaultKinds(), fault.Kind) {
		return fmt.Errorf("sandbox: unknown fault %q", fault.Kind)
	}
	if fault.Calls == 0 {
		fault.Calls = 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, fault)
	return nil
}

// Clear forgets every fault.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = nil
}

// take returns the fault that strikes this call.
func (f *Faults) take(r *http.Request) (Fault, bool) {
	if !strings.HasPrefix(r.URL.Path, "/v1/") {
		return Fault{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.next {
		fault := f.next[i]
		if fault.Method != "" && fault.Method != r.Method || !strings.HasPrefix(r.URL.Path, fault.Path) {
			continue
		}
		if f.next[i].Calls--; f.next[i].Calls == 0 {
			f.next = slices.Delete(f.next, i, i+1)
		}
		return fault, true
	}
	return Fault{}, false
}

// before fails a call that shall have no effect; it reports whether it did.
func (f Fault) before(w http.ResponseWriter, r *http.Request) bool {
	answer := func(status int, contentType, body string) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the call fails either way
	}
	switch f.Kind {
	case RateLimited:
		answer(429, "application/json", `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Too many requests."}}`)
	case BadGateway:
		answer(502, "text/html", "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
	case Unauthorized:
		answer(401, "application/json", `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided."}}`)
	case Timeout:
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // only then the server notices that the caller has gone
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	case Reset:
		panic(http.ErrAbortHandler) // net/http's way to close a connection without an answer
	default:
		return false
	}
	return true
}

// after spoils the answer of a call that had its effect; it reports whether it did.
func (f Fault) after(w http.ResponseWriter) bool {
	switch f.Kind {
	case ReplyLost:
		panic(http.ErrAbortHandler)
	case BrokenJSON:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"cs_test_`)) // the answer is meant to be lost
	case WrongShape:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"object":"list","data":[]}`)) // the answer is meant to be useless
	default:
		return false
	}
	return true
}
