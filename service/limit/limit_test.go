package limit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

// clock is a settable clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestLocal: the limiter in process conforms. Its Env has one limiter, since a process has one.
func TestLocal(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(t *testing.T) limittest.Env {
		c := newClock()
		l := limit.NewLocal(c.Now)
		return limittest.Env{New: func(*testing.T) limit.Limiter { return l }, Now: c.Now, Advance: c.add}
	})
}

func allowed(t *testing.T, l limit.Limiter, c limit.Check) bool {
	t.Helper()
	out, err := l.Take(t.Context(), []limit.Check{c})
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Allowed
}

// TestExactToTheMicrosecond: a refusal's retry-after is the first instant at which the same is admitted.
func TestExactToTheMicrosecond(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewLocal(c.Now)
	check := limit.Check{Key: "k", Rate: limit.Rate{Count: 7, Period: time.Second, Burst: 3}, Cost: 1}
	for allowed(t, l, check) {
	}
	out, err := l.Take(t.Context(), []limit.Check{check})
	if err != nil {
		t.Fatal(err)
	}
	c.add(out[0].RetryAfter - time.Microsecond)
	if allowed(t, l, check) {
		t.Error("admitted a microsecond early")
	}
	c.add(time.Microsecond)
	if !allowed(t, l, check) {
		t.Error("refused at the instant that was told")
	}
}

// TestA14_NoWindowExceedsItsBound: for every window of a long run of greedy takes, what was admitted in it is at most the burst and
// what came back within it; a boundary of periods is no window of its own.
func TestA14_NoWindowExceedsItsBound(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewLocal(c.Now)
	rate := limit.Rate{Count: 10, Period: time.Second, Burst: 10}
	var at []time.Time
	for i := range 3000 {
		if i%700 == 0 {
			c.add(1500 * time.Millisecond) // idle, so that a full burst gathers
		}
		if allowed(t, l, limit.Check{Key: "k", Rate: rate, Cost: 1}) {
			at = append(at, c.Now())
		}
		c.add(time.Duration(i%13) * time.Millisecond)
	}
	for i := range at {
		for j := i; j < len(at); j++ {
			if most := rate.Burst + int64(at[j].Sub(at[i])/rate.Interval()); int64(j-i+1) > most {
				t.Fatalf("%d admitted within %s, at most %d", j-i+1, at[j].Sub(at[i]), most)
			}
		}
	}
}

// TestClockBackwards: a clock that falls back refuses for at most the time of a full burst, and never admits more.
func TestClockBackwards(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewLocal(c.Now)
	check := limit.Check{Key: "k", Rate: limit.Rate{Count: 1, Period: time.Second, Burst: 5}, Cost: 1}
	for allowed(t, l, check) {
	}
	c.add(-time.Hour)
	if allowed(t, l, check) {
		t.Error("the fall of the clock gave tokens")
	}
	c.add(time.Second)
	if !allowed(t, l, check) {
		t.Error("the counter is stuck behind the old clock")
	}
}

// TestCountersAreDropped: counters that are as if never used do not pile up.
func TestCountersAreDropped(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewLocal(c.Now)
	for i := range 400_000 {
		c.add(time.Millisecond)
		allowed(t, l, limit.Check{Key: fmt.Sprint(i), Rate: limit.Rate{Count: 1, Period: time.Second, Burst: 1}, Cost: 1})
	}
	if n := l.Len(); n > 100_000 {
		t.Errorf("%d counters held, of which a thousand live", n)
	}
}

// TestShare: a replica's part of a limit, all parts together never more than the whole, nothing when the burst does not go round.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate limit.Rate
		n    int64
		want limit.Rate
		ok   bool
	}{
		{limit.Rate{Count: 100, Period: time.Minute, Burst: 10}, 1, limit.Rate{Count: 100, Period: time.Minute, Burst: 10}, true},
		{limit.Rate{Count: 100, Period: time.Minute, Burst: 10}, 3, limit.Rate{Count: 33, Period: time.Minute, Burst: 3}, true},
		{limit.Rate{Count: 1, Period: time.Minute, Burst: 10}, 5, limit.Rate{Count: 1, Period: 5 * time.Minute, Burst: 2}, true},
		{limit.Rate{Count: 100, Period: time.Minute, Burst: 2}, 3, limit.Rate{}, false},
	} {
		got, ok := limit.Share(c.rate, c.n)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%+v over %d: %+v, %v", c.rate, c.n, got, ok)
		}
	}
}

// TestThrottle: attempts beyond the count wait, and the wait ends by itself.
func TestThrottle(t *testing.T) {
	t.Parallel()
	c := newClock()
	throttle := limit.Throttle{Limiter: limit.NewLocal(c.Now)}
	for i := range 6 {
		wait, err := throttle.Allow(t.Context(), "x", 5, time.Minute)
		if err != nil || (wait > 0) != (i == 5) || wait > 12*time.Second {
			t.Fatalf("attempt %d: wait %s, %v", i, wait, err)
		}
	}
	c.add(12 * time.Second)
	if wait, err := throttle.Allow(t.Context(), "x", 5, time.Minute); err != nil || wait != 0 {
		t.Errorf("after the wait: %s, %v", wait, err)
	}
}

// mute is a Limiter that answers the same whatever is asked.
type mute struct {
	limit.Limiter
	say []limit.Result
}

func (m mute) Take(context.Context, []limit.Check) ([]limit.Result, error) { return m.say, nil }

// TestINV7_ThrottleNeedsAnAnswer: an attempt waits for want of an answer, and after a refusal that does not say how long.
func TestINV7_ThrottleNeedsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, say := range [][]limit.Result{nil, {}, {{}}} {
		if wait, err := (limit.Throttle{Limiter: mute{say: say}}).Allow(t.Context(), "x", 5, time.Minute); err != nil || wait <= 0 {
			t.Errorf("%+v: wait %s, %v", say, wait, err)
		}
	}
}

var _ apikey.Limiter = (*limit.Local)(nil)
