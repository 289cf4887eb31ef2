package limittest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

// callers is how many ask at once for a counter that is hot.
const callers = 64

// crowd has the callers ask n times each, by turns at each limiter, and counts what is admitted.
func crowd(t *testing.T, limiters []limit.Limiter, n int, group ...limit.Check) (admitted int64) {
	t.Helper()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for k := range n {
				out, err := limiters[(i+k)%len(limiters)].Take(t.Context(), group)
				if err != nil {
					t.Error(err)
					return
				}
				all := true
				for _, r := range out {
					if r.Degraded || !r.Allowed && r.RetryAfter < 0 || r.Remaining < 0 {
						t.Errorf("%+v", r)
					}
					all = all && r.Allowed
				}
				if all {
					sum.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return sum.Load()
}

// hotExact: a counter that many ask for at once at two replicas, some of whose tokens they hold up front, admits exactly its limit, alone and
// in a group.
func hotExact(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	for key, most := range map[string]int64{"odd": 999, "even": 640} {
		if n := crowd(t, limiters, 40, limit.Check{Key: key, Rate: slow(most), Cost: 1}); n != most {
			t.Errorf("%d admitted of %d", n, most)
		}
	}
	a, b := limit.Check{Key: "a", Owner: "o", Rate: slow(900), Cost: 1}, limit.Check{Key: "b", Owner: "o", Rate: slow(1000), Cost: 1}
	if n := crowd(t, limiters, 40, a, b); n != 900 {
		t.Errorf("%d admitted of 900", n)
	}
	b.Cost = 100
	if out := take(t, limiters[0], b)[0]; !out.Allowed || out.Remaining != 0 {
		t.Errorf("what refused groups left: %+v", out)
	}
}

// hotTrips: a counter that many ask for at once costs a trip for many of them only.
func hotTrips(t *testing.T, e Env) {
	if e.Trips == nil {
		return
	}
	l := e.New(t)
	before := e.Trips(l)
	const each = 500
	if n := crowd(t, []limit.Limiter{l}, each, limit.Check{Key: "hot", Rate: limit.Rate{Count: 1, Period: time.Minute, Burst: 500_000}, Cost: 1}); n != callers*each {
		t.Errorf("%d of %d admitted", n, callers*each)
	}
	n := e.Trips(l) - before
	t.Logf("%d trips for %d checks by %d callers", n, callers*each, callers)
	if n > each/5 { // without tokens up front each of them takes a trip with all others, at best
		t.Errorf("%d trips for %d checks by %d callers", n, callers*each, callers)
	}
}

// hotLost: what a replica holds up front when it dies is wasted, and a little at most; the others admit the rest and never more.
func hotLost(t *testing.T, e Env) {
	const most = 1600
	dies := e.New(t)
	n := crowd(t, []limit.Limiter{dies}, 10, limit.Check{Key: "lost", Rate: slow(most), Cost: 1})
	if e.Die != nil {
		e.Die(dies)
	}
	n += crowd(t, []limit.Limiter{e.New(t)}, 40, limit.Check{Key: "lost", Rate: slow(most), Cost: 1})
	if n > most || n < most-most/16 {
		t.Errorf("%d admitted of %d", n, most)
	}
}

// hotBound: in no window two replicas admit more than the burst and what came back, however many ask at once and whatever lies up front.
func hotBound(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	rate := limit.Rate{Count: 2000, Period: time.Second, Burst: 200} // whose tokens come back while they lie up front
	type round struct {
		start, end time.Time
		n          int64
	}
	var rounds []round
	for i := range 40 {
		r := round{start: e.Now()}
		r.n = crowd(t, limiters, 1+i%3, limit.Check{Key: "bound", Rate: rate, Cost: 1})
		r.end = e.Now()
		rounds = append(rounds, r)
		e.Advance(time.Duration(i%7) * 2 * time.Millisecond)
	}
	for i := range rounds {
		n := int64(0)
		for j := i; j < len(rounds); j++ {
			if n += rounds[j].n; n > rate.Burst+int64(rounds[j].end.Sub(rounds[i].start)/rate.Interval()) {
				t.Fatalf("%d admitted in %s", n, rounds[j].end.Sub(rounds[i].start))
			}
		}
	}
}

// flood: what is over a limit is asked for once and again every two seconds at most, at each replica, however many are refused and
// whatever else their groups name.
func flood(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	spent, quota := limit.Check{Key: "spent", Owner: "o", Rate: slow(3), Cost: 1}, limit.Check{Key: "used up", Owner: "o", Quota: e.month(3), Cost: 1}
	for _, group := range [][]limit.Check{{spent}, {quota}, {spent, quota, {Key: "other", Owner: "o", Rate: slow(1000), Cost: 1}}} {
		for _, l := range limiters {
			for range 4 {
				take(t, l, group...)
			}
		}
		before, start := e.trips(limiters), time.Now()
		if n := crowd(t, limiters, 400, group...); n != 0 {
			t.Fatalf("%d admitted", n)
		}
		most := int64(len(limiters)) * (1 + int64(time.Since(start)/(2*time.Second)))
		if n := e.trips(limiters) - before; n > most {
			t.Errorf("%d trips for a flood of %d, at most %d", n, callers*400, most)
		}
	}
	if out := take(t, limiters[0], limit.Check{Key: "other", Owner: "o", Rate: slow(1000), Cost: 1000})[0]; !out.Allowed {
		t.Errorf("a flood spent something: %+v", out)
	}
}

// trips is how often limiters asked somebody else, 0 where counters are in the process.
func (e Env) trips(of []limit.Limiter) (n int64) {
	if e.Trips == nil {
		return 0
	}
	for _, l := range of {
		n += e.Trips(l)
	}
	return n
}
