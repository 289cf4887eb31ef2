package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Check is one thing without which the process cannot work: its database, its keys.
type Check struct {
	Name string
	// Run returns nil when all is well. Its error is not shown to callers.
	Run func(ctx context.Context) error
}

// checkTime is how long all checks together may take.
const checkTime = 2 * time.Second

// Readiness answers GET /readyz: 200 when every check passes, 503 when one does not or the process is about to end. It is safe
// for concurrent use.
type Readiness struct {
	checks   []Check
	draining atomic.Bool
}

var _ http.Handler = (*Readiness)(nil)

// NewReadiness makes a Readiness of checks.
func NewReadiness(checks ...Check) *Readiness { return &Readiness{checks: checks} }

// Drain makes the process not ready for good: it is about to end.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Ready runs the checks, all at once, and returns the names of those that failed; "draining" when the process is about to end.
func (r *Readiness) Ready(ctx context.Context) []string {
	if r.draining.Load() {
		return []string{"draining"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	failed := make([]bool, len(r.checks))
	var wg sync.WaitGroup
	for i, check := range r.checks {
		wg.Go(func() { failed[i] = check.Run(ctx) != nil })
	}
	wg.Wait()
	var names []string
	for i, check := range r.checks {
		if failed[i] {
			names = append(names, check.Name)
		}
	}
	return names
}

// ServeHTTP implements http.Handler.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	answer := struct {
		Status string   `json:"status"`
		Failed []string `json:"failed,omitempty"`
	}{Status: "ready"}
	status := http.StatusOK
	if answer.Failed = r.Ready(req.Context()); answer.Failed != nil {
		answer.Status, status = "not ready", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
