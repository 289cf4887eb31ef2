// Package limittest is the conformance suite of limiters: what every implementation of limit.Limiter does, wherever its counters
// live. [Run] runs it against one.
package limittest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// Env is one place where counters live.
type Env struct {
	// New makes a limiter; all of one Env share their counters, as replicas do.
	New func(t *testing.T) limit.Limiter
	// Now is the counters' clock.
	Now func() time.Time
	// Trips is how often a limiter has asked somebody outside its process; nil when it never does.
	Trips func(l limit.Limiter) int64
	// Die takes from a limiter what it holds, as the death of its process does: nothing goes back. Nil where limiters hold nothing.
	Die func(l limit.Limiter)
	// Advance returns when the counters' clock has moved by d or more.
	Advance func(d time.Duration)
}

// slow is a rate of which nothing comes back while a test runs.
func slow(burst int64) limit.Rate { return limit.Rate{Count: 1, Period: time.Hour, Burst: burst} }

// Run runs the suite. open makes a fresh Env for each test.
func Run(t *testing.T, open func(t *testing.T) Env) {
	for name, test := range map[string]func(*testing.T, Env){
		"A13_ExactUnderConcurrency": exact, "A14_BurstBound": bound, "A22_CostsRefused": costs, "RatesRefused": rates,
		"AllOrNothing": allOrNothing, "SameCounterAddsUp": addsUp, "FirstInFirstOut": inOrder, "RetryAfter": retryAfter,
		"Answers": answers, "KeysApart": apart, "NothingAsked": nothing, "GroupsOfOneOwner": owners,
		"A13_QuotaExactUnderConcurrency": quotaExact, "QuotaPeriods": periods, "A13_QuotaInAnotherZone": moved, "QuotaWithRate": quotaWithRate, "QuotasRefused": quotas,
		"QuotaLowered": lowered, "A21_GivenBack": given, "QuotaOutlivesItsCounter": outlives,
		"Look": look, "A13_HotCounterIsExact": hotExact, "HotCounterTakesFewTrips": hotTrips, "HotCounterOfADeadReplica": hotLost, "A14_HotCounterBound": hotBound,
		"A18_FloodReachesNobody": flood, "A13_HotQuotaIsExact": hotQuotaExact, "HotQuotaTakesFewTrips": hotQuotaTrips, "HotQuotaOfADeadReplica": hotQuotaLost,
		"HotQuotaLastAreFound": hotQuotaLast, "HotQuotaChanged": hotQuotaChanged, "HotQuotaGivenBack": hotQuotaGiven,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func take(t *testing.T, l limit.Limiter, group ...limit.Check) []limit.Result {
	t.Helper()
	out, err := l.Take(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(group) {
		t.Fatalf("%d results for %d checks", len(out), len(group))
	}
	return out
}

// exact: of a thousand attempts by a hundred callers of two limiters exactly the limit is admitted, and each refusal says when
// to come back.
func exact(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	const most = 100
	var admitted, silent atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			for range 5 {
				for _, l := range limiters {
					out, err := l.Take(t.Context(), []limit.Check{{Key: "exact", Rate: slow(most), Cost: 1}})
					switch {
					case err != nil || out[0].Degraded:
						t.Errorf("caller %d: %+v, %v", i, out, err)
					case out[0].Allowed:
						admitted.Add(1)
					case out[0].RetryAfter <= 0:
						silent.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != most || silent.Load() != 0 {
		t.Errorf("%d admitted, want %d; %d refusals without retry-after", admitted.Load(), most, silent.Load())
	}
}

// bound: however the attempts lie, no window admits more than the burst and what came back within it.
func bound(t *testing.T, e Env) {
	l := e.New(t)
	rate := limit.Rate{Count: 20, Period: 200 * time.Millisecond, Burst: 7}
	start, admitted := e.Now(), int64(0)
	for e.Now().Sub(start) < 500*time.Millisecond {
		for range 3 {
			if take(t, l, limit.Check{Key: "bound", Rate: rate, Cost: 1})[0].Allowed {
				admitted++
			}
		}
		e.Advance(3 * time.Millisecond)
		if most := rate.Burst + int64(e.Now().Sub(start)/rate.Interval()); admitted > most {
			t.Fatalf("%d admitted after %s, at most %d", admitted, e.Now().Sub(start), most)
		}
	}
	if admitted <= rate.Burst {
		t.Errorf("only %d admitted: nothing comes back", admitted)
	}
}

// costs: zero, negative and impossible costs are refused, whatever else is in the group, and spend nothing.
func costs(t *testing.T, e Env) {
	l := e.New(t)
	for _, cost := range []int64{0, -1, math.MinInt64, 11, math.MaxInt64, math.MaxInt64 / 1000} {
		_, err := l.Take(t.Context(), []limit.Check{{Key: "good", Owner: "o", Rate: slow(10), Cost: 10}, {Key: "bad", Owner: "o", Rate: slow(10), Cost: cost}})
		if !errors.Is(err, apikey.ErrCost) {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
	if !take(t, l, limit.Check{Key: "good", Owner: "o", Rate: slow(10), Cost: 10})[0].Allowed {
		t.Error("a refused request spent something")
	}
}

// rates: a rate that cannot be counted is refused.
func rates(t *testing.T, e Env) {
	l := e.New(t)
	for _, rate := range []limit.Rate{
		{}, {Count: 1, Period: time.Second}, {Count: 0, Period: time.Second, Burst: 1}, {Count: -1, Period: time.Second, Burst: 1}, {Count: 1, Burst: 1},
		{Count: 1, Period: -time.Second, Burst: 1}, {Count: 1, Period: time.Nanosecond, Burst: 1}, {Count: 1, Period: math.MaxInt64, Burst: 1},
		{Count: math.MaxInt64, Period: time.Second, Burst: 1}, {Count: 1, Period: time.Hour, Burst: math.MaxInt64}, {Count: 1, Period: 366 * 24 * time.Hour, Burst: 2},
	} {
		if _, err := l.Take(t.Context(), []limit.Check{{Key: "rate", Rate: rate, Cost: 1}}); !errors.Is(err, apikey.ErrRate) {
			t.Errorf("rate %+v: %v", rate, err)
		}
	}
	most := limit.Rate{Count: 1_000_000, Period: time.Second, Burst: int64(366 * 24 * time.Hour / time.Microsecond)}
	if !take(t, l, limit.Check{Key: "most", Rate: most, Cost: most.Burst})[0].Allowed {
		t.Error("the largest burst is refused")
	}
	if take(t, l, limit.Check{Key: "most", Rate: most, Cost: most.Burst})[0].Allowed {
		t.Error("the largest burst is admitted twice")
	}
}

// allOrNothing: when one check of a group is refused, none of the group is spent, and the others say so.
func allOrNothing(t *testing.T, e Env) {
	l := e.New(t)
	small, large := limit.Check{Key: "small", Owner: "o", Rate: slow(1), Cost: 1}, limit.Check{Key: "large", Owner: "o", Rate: slow(5), Cost: 1}
	take(t, l, small, large)
	for range 10 {
		out := take(t, l, large, small, large)
		if !out[0].Allowed || out[1].Allowed || !out[2].Allowed || out[0].Remaining != 4 || out[2].Remaining != 4 || out[0].RetryAfter != 0 || out[1].RetryAfter <= 0 {
			t.Fatalf("%+v", out)
		}
	}
	large.Cost = 4
	if out := take(t, l, large); !out[0].Allowed || out[0].Remaining != 0 {
		t.Errorf("a refused group spent something: %+v", out)
	}
}

// addsUp: two checks of one group on the same counter need both costs.
func addsUp(t *testing.T, e Env) {
	l := e.New(t)
	c := limit.Check{Key: "twice", Rate: slow(3), Cost: 2}
	if out := take(t, l, c, c); out[0].Allowed && out[1].Allowed {
		t.Errorf("four of three were admitted: %+v", out)
	}
	one := limit.Check{Key: "twice", Rate: slow(3), Cost: 1}
	if out := take(t, l, one, c); !out[0].Allowed || !out[1].Allowed || out[1].Remaining != 0 {
		t.Errorf("three of three: %+v", out)
	}
}

// inOrder: groups of one call are decided first in first out, each by itself.
func inOrder(t *testing.T, e Env) {
	l := e.New(t)
	var groups [][]limit.Check
	for i := range 600 {
		groups = append(groups, []limit.Check{{Key: "order", Owner: "o", Rate: slow(300), Cost: 1}, {Key: fmt.Sprint("own", i), Owner: "o", Rate: slow(1), Cost: 1}})
	}
	out, err := l.TakeEach(t.Context(), groups)
	if err != nil || len(out) != len(groups) {
		t.Fatalf("%d results, %v", len(out), err)
	}
	for i, results := range out {
		if results[0].Allowed != (i < 300) || !results[1].Allowed {
			t.Fatalf("group %d: %+v", i, results)
		}
	}
	if !take(t, l, limit.Check{Key: "own599", Owner: "o", Rate: slow(1), Cost: 1})[0].Allowed {
		t.Error("a refused group spent its own counter")
	}
}

// retryAfter: what was refused is refused until its retry-after has passed, and admitted then.
func retryAfter(t *testing.T, e Env) {
	l := e.New(t)
	c := limit.Check{Key: "later", Rate: limit.Rate{Count: 10, Period: 3 * time.Second, Burst: 4}, Cost: 1}
	for range 4 {
		take(t, l, c)
	}
	c.Cost = 2
	refused := take(t, l, c)[0]
	if refused.Allowed || refused.RetryAfter <= 300*time.Millisecond || refused.RetryAfter > 600*time.Millisecond {
		t.Fatalf("%+v", refused)
	}
	e.Advance(refused.RetryAfter)
	if out := take(t, l, c)[0]; !out.Allowed || out.Remaining > 2 {
		t.Errorf("after the wait: %+v", out)
	}
}

// answers: what remains and when the counter is full again are told.
func answers(t *testing.T, e Env) {
	l := e.New(t)
	c := limit.Check{Key: "answers", Rate: slow(10), Cost: 3}
	for i, want := range []int64{7, 4, 1} {
		out := take(t, l, c)[0]
		reset := time.Duration(i+1) * 3 * time.Hour
		if !out.Allowed || out.Remaining != want || out.RetryAfter != 0 || out.Reset > reset || out.Reset < reset-time.Minute || out.Degraded {
			t.Errorf("take %d: %+v", i, out)
		}
	}
	if out := take(t, l, c)[0]; out.Allowed || out.Remaining != 1 || out.RetryAfter > 2*time.Hour || out.RetryAfter < 2*time.Hour-time.Minute {
		t.Errorf("refused: %+v", out)
	}
}

// apart: counters with other names know nothing of each other.
func apart(t *testing.T, e Env) {
	l := e.New(t)
	for _, key := range []string{"a", "A", "a ", "a:b", "ä", "a\x00b"} {
		if !take(t, l, limit.Check{Key: key, Rate: slow(1), Cost: 1})[0].Allowed {
			t.Errorf("counter %q was spent by another", key)
		}
	}
}

// nothing: a group without checks is an answer without results.
func nothing(t *testing.T, e Env) {
	take(t, e.New(t))
	out, err := e.New(t).TakeEach(t.Context(), [][]limit.Check{{}, {{Key: "x", Rate: slow(1), Cost: 1}}, {}})
	if err != nil || len(out) != 3 || len(out[1]) != 1 || !out[1][0].Allowed {
		t.Errorf("%+v, %v", out, err)
	}
}
