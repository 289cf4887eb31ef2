package apikey_test

import (
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestLeaks_ReportedAgainAndAgain: however often, and by how many at once, a text that was found is reported, the audit trail, of which webhooks
// are told, keeps the first report and each that ended something; a text that its owner had ended before is no different.
func TestLeaks_ReportedAgainAndAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		anybody := as(t, licensing.Actor{Kind: licensing.Anonymous})
		flood := func(id, text string, want int) {
			t.Helper()
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if out, err := []*rig{one, two}[i%2].Leak(anybody, apikey.LeakRequest{Key: text}); err != nil || out != (apikey.LeakResponse{Accepted: true}) {
						t.Errorf("%+v, %v", out, err)
					}
				})
			}
			wg.Wait()
			one.poll(t)
			two.poll(t)
			kept, err := e.Store.Audit().ListAudit(t.Context(), audit.Filter{Action: "key.leak", Target: id}, licensing.Page{Limit: 100})
			if err != nil || len(kept.Items) != want {
				t.Errorf("%d rows, %v; want %d", len(kept.Items), err, want)
			}
		}
		id, text := one.issue(t, nil)
		flood(id, text, 1)
		flood(id, text, 1)
		if k, err := one.Get(as(t, admin), apikey.GetRequest{ID: id}); err != nil || k.LeakedAt == nil || k.State != apikey.Revoked {
			t.Errorf("%+v, %v", k, err)
		}
		id, text = one.issue(t, func(c *apikey.CreateRequest) { c.OnLeak = apikey.RotateOnLeak })
		flood(id, text, 1)
		fresh, err := one.Rotate(as(t, customer("cus_a")), apikey.RotateRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		one.poll(t)
		two.poll(t)
		flood(id, fresh.Secret, 2)
		flood(id, text, 2)
		id, text = one.issue(t, nil)
		if _, err := one.Revoke(as(t, customer("cus_a")), apikey.RevokeRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		two.poll(t)
		flood(id, text, 1)
		reads := one.store.reads.Load()
		for range 50 {
			if _, err := one.Leak(anybody, apikey.LeakRequest{Key: text}); err != nil {
				t.Fatal(err)
			}
		}
		if n := one.store.reads.Load() - reads; n > 1 {
			t.Errorf("%d reads for 50 reports of what is known", n)
		}
	})
}
