//go:build failpoint

package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/sdk/webhook"
)

// ear is a receiver of events, which takes each message that its secret proves.
type ear struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	heard  map[string]int // messages by webhook-id
	forged int
}

func newEar(t *testing.T) *ear {
	t.Helper()
	e := &ear{heard: map[string]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		event, err := webhook.Read(r, e.secret)
		if err != nil {
			e.forged++
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		e.heard[event.ID]++
	}))
	t.Cleanup(e.Close)
	return e
}

// F31: killed with an event taken by its receiver and not noted as sent. Another process sends it again with the same webhook-id, by which the
// receiver knows it, once the claim of the dead one is over, and notes it; nothing else comes twice, and nothing is left.
func TestKill_F31_EventSent(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := &works{plant: newPlant(t, engine), armed: filepath.Join(shortDir(t), "armed")}
			w.args = append(w.args, "--webhook-loopback")
			w.begin(t)
			e := newEar(t)
			var made struct {
				Endpoint struct{ ID string }
				Secret   string
			}
			if err := w.operator(t.Context(), http.MethodPost, "/v1/webhook-endpoints", map[string]any{"url": e.URL + "/hook"}, &made); err != nil {
				t.Fatal(err)
			}
			e.mu.Lock()
			e.secret = made.Secret
			e.mu.Unlock()
			try := func() error {
				return w.operator(t.Context(), http.MethodPost, "/v1/webhook-endpoints/"+made.Endpoint.ID+"/test", nil, nil)
			}
			w.dies(t, "webhook-sent", 1, func() error { _ = try(); return nil }) // its answer may get lost
			if err := try(); err != nil {
				t.Fatal(err)
			}
			// The claim holds for a minute, and what the dead one was doing besides is taken over after a minute and a half.
			eventually(t, "everything is noted as sent", 5*recovery, func() bool {
				return number(t, w.rows, `SELECT count(*) FROM webhook_delivery WHERE state = 'delivered' AND attempts = 1`) == 2
			})
			e.mu.Lock()
			defer e.mu.Unlock()
			var once, twice int
			for _, n := range e.heard {
				switch n {
				case 1:
					once++
				case 2:
					twice++
				}
			}
			if len(e.heard) != 2 || once != 1 || twice != 1 || e.forged != 0 {
				t.Errorf("heard %v, and %d that nothing proves", e.heard, e.forged)
			}
			w.verify(t)
		})
	}
}
