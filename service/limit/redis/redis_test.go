package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func open(t *testing.T, cfg redis.Config) *redis.Limiter {
	t.Helper()
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	l, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func client(t *testing.T, url string) *goredis.Client {
	t.Helper()
	opts, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func now(t *testing.T, c *goredis.Client) time.Time {
	t.Helper()
	at, err := c.Time(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func trips(l limit.Limiter) int64 { return l.(*redis.Limiter).Scripts() }

// slow is a rate of which nothing comes back while a test runs.
func slow(burst int64) limit.Rate { return limit.Rate{Count: 1, Period: time.Hour, Burst: burst} }

func take(t *testing.T, l limit.Limiter, c limit.Check) limit.Result {
	t.Helper()
	out, err := l.Take(t.Context(), []limit.Check{c})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestRedis: the limiter on Redis conforms. The budget is wide, so that a loaded machine does not count as a Redis that is away.
// A16: each limiter's own clock is off by seconds more, and it does not matter.
func TestRedis(t *testing.T) {
	t.Parallel()
	url := limittest.Redis(t)
	limittest.Run(t, func(t *testing.T) limittest.Env {
		c, prefix := client(t, url), rand.Text()
		var skew atomic.Int64
		return limittest.Env{
			New: func(t *testing.T) limit.Limiter {
				off := time.Duration(skew.Add(1)) * 5 * time.Second
				return open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second, Clock: func() time.Time { return time.Now().Add(off) }})
			},
			Now:   func() time.Time { return now(t, c) },
			Trips: trips,
			Die:   func(l limit.Limiter) { l.(*redis.Limiter).Die() },
			Advance: func(d time.Duration) {
				until := now(t, c).Add(d)
				if !limittest.Eventually(d+time.Minute, func() bool { return !now(t, c).Before(until) }) {
					t.Fatal("the clock of Redis stands still")
				}
			},
		}
	})
}

// TestA16_SkewedReplicasShareOneClock: two replicas whose clocks are five seconds apart admit exactly the limit together.
func TestA16_SkewedReplicasShareOneClock(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), rand.Text()
	ahead := open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second, Clock: func() time.Time { return time.Now().Add(5 * time.Second) }})
	behind := open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second})
	check := limit.Check{Key: "k", Rate: limit.Rate{Count: 10, Period: 30 * time.Second, Burst: 10}, Cost: 1}
	admitted := 0
	start := now(t, client(t, url))
	for range 20 {
		for _, l := range []limit.Limiter{ahead, behind} {
			if take(t, l, check).Allowed {
				admitted++
			}
		}
	}
	most := 10 + int(now(t, client(t, url)).Sub(start)/(3*time.Second))
	if admitted < 10 || admitted > most {
		t.Errorf("%d admitted, want 10 to %d", admitted, most)
	}
}

// TestA15_NoImmortalCounter: every counter that the script leaves behind has an end of life, one that covers its use.
func TestA15_NoImmortalCounter(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), rand.Text()
	l, c := open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second}), client(t, url)
	for i := range 20 {
		check := limit.Check{Key: fmt.Sprint(i), Rate: limit.Rate{Count: 1, Period: time.Duration(i+1) * time.Minute, Burst: 3}, Cost: int64(i%3) + 1}
		for range 4 {
			take(t, l, check)
		}
	}
	keys, err := c.Keys(t.Context(), prefix+":*").Result()
	if err != nil || len(keys) != 20 {
		t.Fatalf("%d counters, %v", len(keys), err)
	}
	for _, key := range keys {
		ttl, err := c.PTTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 || ttl > time.Hour+2*time.Second {
			t.Errorf("counter %s lives %s, %v", key, ttl, err)
		}
	}
}

// TestF29_StrangeCounters: something else under a counter's name, a number that is none and one from the far future are
// replaced or refuse within the bound; none of them fails or sticks.
func TestF29_StrangeCounters(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), rand.Text()
	l, c := open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second}), client(t, url)
	spoil := map[string]func(key string) error{
		"list":  func(k string) error { return c.RPush(t.Context(), k, "x").Err() },
		"hash":  func(k string) error { return c.HSet(t.Context(), k, "a", 1).Err() },
		"text":  func(k string) error { return c.Set(t.Context(), k, "hello", 0).Err() },
		"nan":   func(k string) error { return c.Set(t.Context(), k, "nan", 0).Err() },
		"inf":   func(k string) error { return c.Set(t.Context(), k, "inf", 0).Err() },
		"minus": func(k string) error { return c.Set(t.Context(), k, "-5", 0).Err() },
	}
	for name, do := range spoil {
		if err := do(prefix + ":" + name); err != nil {
			t.Fatal(err)
		}
		admitted := 0
		for range 6 {
			if out := take(t, l, limit.Check{Key: name, Rate: slow(3), Cost: 1}); out.Allowed && !out.Degraded {
				admitted++
			}
		}
		if admitted != 3 {
			t.Errorf("%s: %d admitted, want 3", name, admitted)
		}
	}
	if err := c.Set(t.Context(), prefix+":future", fmt.Sprint(time.Now().Add(1000*time.Hour).UnixMicro()), 0).Err(); err != nil {
		t.Fatal(err)
	}
	check := limit.Check{Key: "future", Rate: limit.Rate{Count: 1, Period: 50 * time.Millisecond, Burst: 2}, Cost: 1}
	if take(t, l, check).Allowed {
		t.Error("a counter from the future gave tokens")
	}
	if !limittest.Eventually(time.Minute, func() bool { return take(t, l, check).Allowed }) {
		t.Error("a counter from the future is stuck")
	}
}

// TestScriptIsLoadedAgain: a Redis that forgot its scripts gets the script again, and no check is lost or counted twice.
func TestScriptIsLoadedAgain(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	l, c := open(t, redis.Config{URL: s.URL, Budget: 20 * time.Second}), client(t, s.URL)
	for i := range 5 {
		if err := c.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if out := take(t, l, limit.Check{Key: "k", Rate: slow(10), Cost: 1}); !out.Allowed || out.Remaining != int64(9-i) || out.Degraded {
			t.Fatalf("take %d: %+v", i, out)
		}
	}
}

// TestCancelledWhileWaiting: a caller who gives up while another batch is under way spends nothing.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	l := open(t, redis.Config{URL: s.URL, Budget: 20 * time.Second})
	check := limit.Check{Key: "k", Rate: slow(10), Cost: 1}
	take(t, l, check)
	s.Pause(t)
	var wg sync.WaitGroup
	wg.Go(func() { take(t, l, check) }) // leads, and waits for Redis
	if !limittest.Eventually(time.Minute, l.Busy) {
		t.Fatal("nobody leads")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Take(ctx, []limit.Check{check}); !errors.Is(err, context.Canceled) {
		t.Errorf("gave up: %v", err)
	}
	s.Resume(t)
	wg.Wait()
	if out := take(t, l, check); out.Remaining != 7 {
		t.Errorf("%+v, want 7 left: two before, none by the one who gave up", out)
	}
}

// TestCombinerIsFair: many callers on few batches all get their own answers.
func TestCombinerIsFair(t *testing.T) {
	t.Parallel()
	l := open(t, redis.Config{URL: limittest.Redis(t), Prefix: rand.Text(), Budget: 20 * time.Second})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for n := range 5 {
				out, err := l.Take(t.Context(), []limit.Check{{Key: fmt.Sprint("caller", i), Rate: slow(int64(i + 10)), Cost: 1}})
				if err != nil || !out[0].Allowed || out[0].Remaining != int64(i+9-n) {
					t.Errorf("caller %d take %d: %+v, %v", i, n, out, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestA13_RoundsOfCheckers: of 200 checkers who ask at once, each at both replicas, exactly the limit is admitted, of a rate and of a quota, round
// after round: a hundred of them in the whole proof and a thousand in the long form.
func TestA13_RoundsOfCheckers(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), rand.Text()
	var replicas [2]*redis.Limiter
	for i := range replicas {
		replicas[i] = open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second})
	}
	for round := range storetest.Proven(5, 100, 1000) {
		check := limit.Check{Key: fmt.Sprint(round), Rate: slow(150), Cost: 1}
		if round%2 == 1 {
			check.Rate, check.Quota = limit.Rate{}, month(150)
		}
		var admitted atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 200 {
			wg.Go(func() {
				<-start
				for n := range replicas {
					out, err := replicas[(i+n)%2].Take(t.Context(), []limit.Check{check})
					if err != nil || out[0].Degraded {
						t.Errorf("%+v, %v", out, err)
					} else if out[0].Allowed {
						admitted.Add(1)
					}
				}
			})
		}
		close(start)
		wg.Wait()
		if n := admitted.Load(); n != 150 {
			t.Fatalf("round %d: %d of 150 admitted", round, n)
		}
	}
}

// TestConfig: what cannot work is refused at the start, with what is wrong; a Redis that is away is not.
func TestConfig(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://localhost", "redis://localhost/x", "localhost:6379"} {
		if _, err := redis.New(redis.Config{URL: url, Clock: time.Now}); err == nil {
			t.Errorf("URL %q is taken", url)
		}
	}
	if _, err := redis.New(redis.Config{URL: "redis://127.0.0.1:1/0"}); err == nil {
		t.Error("no clock is taken")
	}
	open(t, redis.Config{URL: "redis://127.0.0.1:1/0"})
}

var _ apikey.Limiter = (*redis.Limiter)(nil)
