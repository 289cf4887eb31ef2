package redis_test

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
)

// TestCluster: the limiter conforms on a cluster of three masters, over which its counters are spread, those of one owner together.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := limittest.OwnCluster(t, false)
	t.Run("conforms", func(t *testing.T) {
		limittest.Run(t, func(t *testing.T) limittest.Env {
			prefix := rand.Text()
			return limittest.Env{
				New: func(t *testing.T) limit.Limiter {
					return open(t, redis.Config{URL: c.URL, Prefix: prefix, Budget: 20 * time.Second})
				},
				Now:   func() time.Time { return c.Now(t) },
				Trips: trips,
				Advance: func(d time.Duration) {
					until := c.Now(t).Add(d)
					if !limittest.Eventually(d+wait, func() bool { return !c.Now(t).Before(until) }) {
						t.Fatal("the clock of Redis stands still")
					}
				},
			}
		})
	})
	l := open(t, redis.Config{URL: c.URL, Prefix: rand.Text(), Budget: 20 * time.Second})
	var groups [][]limit.Check
	for i := range 300 {
		owner := licensing.Owner(fmt.Sprint("cus_", i))
		groups = append(groups, []limit.Check{
			{Key: fmt.Sprint(owner, ":a"), Owner: owner, Rate: slow(5), Cost: 1}, {Key: fmt.Sprint(owner, ":b"), Owner: owner, Quota: month(5), Cost: 1},
		})
	}
	out, err := l.TakeEach(t.Context(), groups)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if !out[i][0].Allowed || !out[i][1].Allowed || out[i][0].Degraded || out[i][1].Remaining != 4 {
			t.Fatalf("group %d: %+v", i, out[i])
		}
	}
	for i, n := range c.Keys(t) {
		if n < 100 {
			t.Errorf("master %d holds %d of 600 counters", i, n)
		}
	}
}

// TestF26_ClusterFailover: when a master dies, only what it counted is degraded, its replica takes over by itself, and around that
// nobody is admitted more than twice the limit, and nothing beyond after it.
func TestF26_ClusterFailover(t *testing.T) {
	t.Parallel()
	c := limittest.OwnCluster(t, true)
	replicas := []*redis.Limiter{}
	for range 2 {
		replicas = append(replicas, open(t, redis.Config{URL: c.URL, Budget: budget, Replicas: func() int64 { return 2 }}))
	}
	const owners, most = 64, 10
	var admitted [owners]atomic.Int64
	var degraded [owners]atomic.Bool
	check := func(i int) limit.Check {
		owner := licensing.Owner(fmt.Sprint("cus_", i))
		return limit.Check{Key: string(owner), Owner: owner, Rate: slow(most), Cost: 1, Degraded: apikey.Open}
	}
	round := func() {
		var wg sync.WaitGroup
		for i := range owners {
			wg.Go(func() {
				for _, l := range replicas {
					if out := take(t, l, check(i)); out.Allowed {
						admitted[i].Add(1)
						if out.Degraded {
							degraded[i].Store(true)
						}
					}
				}
			})
		}
		wg.Wait()
	}
	well := func() bool {
		for i := range owners {
			probe := limit.Check{Key: fmt.Sprint("probe", i), Owner: check(i).Owner, Rate: limit.Rate{Count: 1000, Period: time.Second, Burst: 1000}, Cost: 1, Degraded: apikey.Open}
			for _, l := range replicas {
				if take(t, l, probe).Degraded {
					return false
				}
			}
		}
		return true
	}
	if !limittest.Eventually(wait, well) {
		t.Fatal("never well")
	}
	round()
	for i := range owners {
		if degraded[i].Swap(false) {
			t.Logf("owner %d was answered without the cluster while all of it was well", i)
		}
	}
	c.KillMaster(t, 0)
	for range 2 {
		round()
	}
	start := time.Now()
	if !limittest.Eventually(2*wait, well) {
		t.Fatal("nobody took over")
	}
	t.Logf("taken over after %s", time.Since(start))
	for range 2 * most {
		round()
	}
	fresh := open(t, redis.Config{URL: c.URL, Budget: 20 * time.Second}) // remembers nothing, so it asks
	for i := range owners {
		if take(t, fresh, check(i)).Allowed {
			t.Errorf("owner %d: one more after it", i)
		}
	}
	worst, touched := int64(0), 0
	for i := range owners {
		n := admitted[i].Load()
		worst = max(worst, n)
		if degraded[i].Load() {
			touched++
		}
		if n < most-1 || n > 2*most {
			t.Errorf("owner %d: %d of %d admitted", i, n, most)
		}
	}
	if touched == 0 || touched > owners*2/3 {
		t.Errorf("%d of %d owners were degraded by the loss of one of three masters", touched, owners)
	}
	t.Logf("measured: INV7: at most %d of %d admitted around a failover; %d of %d owners were degraded", worst, most, touched, owners)
}
