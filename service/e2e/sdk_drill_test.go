package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// J47, K07: a key is revoked while products run that pin the root. One that is in contact follows the drill by itself, and none of the
// checks that it makes is refused: its documents are signed anew, what the revoked key signed is refused as soon as it has the new keyset, and
// what the next key signs is accepted. It makes none while the test moves the clock by a day and the replicas find out how late it is. One that is
// out of contact goes on with the keyset that it has, until it is in contact again.
func TestSDK_J47_K07_FollowsTheDrill(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		l := s.sells(t, 1)[0]
		c, away := l.on(t, "a"), l.on(t, "b")
		l.activates(t, c, eval.Valid)
		l.activates(t, away, eval.Valid)
		old := servedToken(t, l)
		for _, c := range []*sdk.Client{c, away} {
			if _, err := c.Verify(old); err != nil {
				t.Fatal(err)
			}
		}

		var wg sync.WaitGroup
		var asked atomic.Int64
		events := make(chan sdk.Event, 64)
		runs := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() { _ = c.Run(ctx, events) }) // it ends with ctx, and says so
			for range 3 {
				wg.Go(func() {
					for ctx.Err() == nil {
						if d, err := c.Check(t.Context()); err != nil || !d.Allowed {
							t.Errorf("refused during the drill: %s (%s), %v", d.Code, d.Explanation, err)
							return
						}
						asked.Add(1)
					}
				})
			}
			return func() { cancel(); wg.Wait() }
		}
		stop := runs()
		keyset := servedKeyset(t, s)
		var keys struct {
			Keys []struct{ KID, Role, State string }
		}
		s.must(t, http.MethodGet, "/v1/signing-keys", nil, &keys)
		for _, k := range keys.Keys {
			if k.Role == "signing" && k.State == "active" {
				s.must(t, http.MethodPost, "/v1/signing-keys/"+k.KID+"/compromise", map[string]any{"reason": "drill"}, nil)
			}
		}
		eventually(t, "every replica knows of the revocation and has the license under the next key", time.Minute, func() bool {
			for range 2 * len(l.replicas) {
				if servedKeyset(t, s) == keyset || servedToken(t, l) == old {
					return false
				}
			}
			return true
		})
		stop()                          // while the replicas learn that a day has passed, in which they are not sure of anything
		s.clock.Forward(25 * time.Hour) // contact is due, and the keyset older than a day
		eventually(t, "the replicas are sure of the time", time.Minute, func() bool {
			for range 2 * len(l.replicas) {
				if status, _, err := fetch(t.Context(), http.MethodGet, s.url+"/readyz", nil, nil); err != nil || status != http.StatusOK {
					return false
				}
			}
			return true
		})
		stop = runs()
		eventually(t, "the product knows of the revocation", time.Minute, func() bool {
			_, err := c.Verify(old)
			return errors.Is(err, doc.ErrKeyRevoked)
		})
		before := asked.Load()
		eventually(t, "the product goes on", time.Minute, func() bool { return asked.Load() > before+100 })
		stop()
		close(events)
		for e := range events {
			if !e.Decision.Allowed {
				t.Errorf("Run says %s: %s", e.Kind, e.Decision.Explanation)
			}
		}
		if _, err := c.Verify(servedToken(t, l)); err != nil || !c.Allowed("export") {
			t.Errorf("what the next key signed: %v", err)
		}
		t.Logf("%d checks during the drill, none refused", asked.Load())

		if d, err := away.Evaluate(t.Context(), "export", 0); err != nil || !d.Allowed {
			t.Errorf("out of contact: %+v, %v", d, err)
		}
		checks(t, away, eval.Valid) // its contact
		if _, err := away.Verify(old); !errors.Is(err, doc.ErrKeyRevoked) {
			t.Errorf("what the revoked key signed, after contact: %v", err)
		}
		if got := l.held(t); got != 2 {
			t.Errorf("%d seats are held after the drill, want 2", got)
		}
	})
}

// servedKeyset is the keyset as it is served now, by one replica.
func servedKeyset(t *testing.T, s *site) string {
	t.Helper()
	status, text, err := fetch(t.Context(), http.MethodGet, s.url+sdk.PathKeyset, nil, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("keyset: %d, %v", status, err)
	}
	return string(text)
}

// servedToken is the license's token as it is served now.
func servedToken(t *testing.T, l *sold) string {
	t.Helper()
	var out struct{ Token string }
	l.must(t, http.MethodGet, "/v1/licenses/"+l.id+"/token", nil, &out)
	return out.Token
}
