package redis_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
)

// budget leaves a loaded machine time to answer, and is still far below what the tests wait for.
const budget = 250 * time.Millisecond

func openLimit(burst int64) limit.Check {
	return limit.Check{Key: "open", Rate: slow(burst), Cost: 1, Degraded: apikey.Open}
}

func owned(c limit.Check) limit.Check {
	c.Owner = "cus_a"
	return c
}

func healthy(t *testing.T, l limit.Limiter) bool {
	t.Helper()
	return !take(t, l, limit.Check{Key: "probe", Rate: limit.Rate{Count: 1000, Period: time.Second, Burst: 1000}, Cost: 1, Degraded: apikey.Open}).Degraded
}

// TestF26_KilledAndEmptyRestart: when Redis dies, an open limit goes on up to this replica's share of what was left and says degraded, a
// closed one refuses; when it is back, empty, counting goes on there; INV7: over the whole window at most twice the limit was admitted.
func TestF26_KilledAndEmptyRestart(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	var log strings.Builder
	l := open(t, redis.Config{URL: s.URL, Budget: budget, Replicas: func() int64 { return 2 }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Fatal("Redis never answered")
	}
	const most = 20
	before := 0
	for range most / 2 {
		if take(t, l, openLimit(most)).Allowed {
			before++
		}
	}
	s.Kill(t)
	away := 0
	for range 2 * most {
		out := take(t, l, openLimit(most))
		if !out.Degraded {
			t.Fatal("an answer without Redis does not say degraded")
		}
		if out.Allowed {
			away++
		}
		closed := take(t, l, limit.Check{Key: "closed", Rate: slow(most), Cost: 1, Degraded: apikey.Closed})
		if closed.Allowed || !closed.Degraded || closed.RetryAfter <= 0 {
			t.Fatalf("closed without Redis: %+v", closed)
		}
	}
	if before != most/2 || away != most/4 {
		t.Errorf("%d admitted with Redis, want %d; %d without, want the share of %d", before, most/2, away, most/4)
	}
	s.Start(t)
	start := time.Now()
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Fatal("never back")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("back %s after the restart", took)
	}
	after := 0
	for range 2 * most {
		if out := take(t, l, openLimit(most)); out.Allowed && !out.Degraded {
			after++
		}
	}
	if text := log.String(); !strings.Contains(text, "redis is away") || !strings.Contains(text, "redis is back") || strings.Count(text, "\n") > 10 {
		t.Errorf("the log tells neither or too much:\n%s", text)
	}
	if after > most {
		t.Errorf("%d admitted after the restart, at most %d", after, most)
	}
}

// TestF26_WithinSeconds: the first answers after Redis died say degraded within a second, and counting goes on there within two of its being
// back. What the machine does meanwhile counts too, so one of five times is enough.
func TestF26_WithinSeconds(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	l := open(t, redis.Config{URL: s.URL, Budget: budget})
	took := func(want bool) time.Duration {
		start := time.Now()
		if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) == want }) {
			t.Fatalf("never healthy %v", want)
		}
		return time.Since(start)
	}
	took(true)
	for n := 1; ; n++ {
		s.Kill(t)
		away := took(false)
		s.Start(t)
		back := took(true)
		t.Logf("degraded %s after the end, back %s after the restart", away, back)
		if away <= time.Second && back <= 2*time.Second {
			return
		}
		if n == 5 {
			t.Fatal("never within the bounds")
		}
	}
}

// TestINV7_NoShareNoAdmission: with more replicas than the limit goes round, or none known alive, an open limit is closed.
func TestINV7_NoShareNoAdmission(t *testing.T) {
	t.Parallel()
	var replicas atomic.Int64
	l := open(t, redis.Config{URL: "redis://127.0.0.1:1/0", Replicas: replicas.Load})
	for n, want := range map[int64]bool{0: false, 11: false, 10: true, 1: true} {
		replicas.Store(n)
		check := openLimit(10)
		check.Key = string(rune('a' + n))
		if out := take(t, l, check); out.Allowed != want || !out.Degraded {
			t.Errorf("%d replicas: %+v, want admitted %v", n, out, want)
		}
	}
}

// TestDegradedGroupIsAllOrNothing: a closed limit in a group refuses the whole group and spends nothing of its open ones.
func TestDegradedGroupIsAllOrNothing(t *testing.T) {
	t.Parallel()
	l := open(t, redis.Config{URL: "redis://127.0.0.1:1/0"})
	for range 5 {
		out, err := l.Take(t.Context(), []limit.Check{owned(openLimit(2)), owned(limit.Check{Key: "closed", Rate: slow(2), Cost: 1})})
		if err != nil || out[0].Allowed || out[1].Allowed || !out[0].Degraded {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	for i, want := range []bool{true, true, false} {
		if take(t, l, owned(openLimit(2))).Allowed != want {
			t.Errorf("take %d: the share is not what it was", i)
		}
	}
}

// TestF27_BlackHole: a Redis that takes requests and never answers costs each check its budget at most, and after two of them
// nothing; when it answers again counting goes on there.
func TestF27_BlackHole(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	l := open(t, redis.Config{URL: s.URL})
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Fatal("Redis never answered")
	}
	s.Pause(t)
	var took []time.Duration
	for range 100 {
		start := time.Now()
		out := take(t, l, openLimit(1000))
		took = append(took, time.Since(start))
		if !out.Degraded || !out.Allowed {
			t.Fatalf("%+v", out)
		}
	}
	slices.Sort(took)
	if took[50] > 50*time.Millisecond {
		t.Errorf("the median check took %s behind a black hole", took[50])
	}
	s.Resume(t)
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Error("never back")
	}
}

// TestF29_FlushReadOnlyAndFull: a flush loses counters and admits at most the limit once more; a Redis that takes no writes counts
// as away; each ends by itself.
func TestF29_FlushReadOnlyAndFull(t *testing.T) {
	t.Parallel()
	s := limittest.OwnRedis(t)
	l, c := open(t, redis.Config{URL: s.URL, Budget: budget}), client(t, s.URL)
	back := func(what string) {
		t.Helper()
		if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
			t.Fatalf("%s: never back", what)
		}
	}
	do := func(args ...any) {
		t.Helper()
		if err := c.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	back("start")
	admitted := 0
	for i := range 30 {
		if i == 10 {
			do("FLUSHALL") // before anything is refused, which would be remembered for a while
		}
		if take(t, l, limit.Check{Key: "flush", Rate: slow(10), Cost: 1}).Allowed {
			admitted++
		}
	}
	if admitted != 20 {
		t.Errorf("%d admitted around a flush, want 20", admitted)
	}
	for what, commands := range map[string][2][]any{
		"read only": {{"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}},
		"full":      {{"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}},
	} {
		do(commands[0]...)
		if out := take(t, l, limit.Check{Key: what, Rate: slow(10), Cost: 1}); out.Allowed || !out.Degraded {
			t.Errorf("%s: %+v", what, out)
		}
		if out := take(t, l, openLimit(10)); !out.Allowed || !out.Degraded {
			t.Errorf("%s, open: %+v", what, out)
		}
		do(commands[1]...)
		back(what)
	}
}
