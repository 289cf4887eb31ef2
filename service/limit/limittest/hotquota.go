package limittest

import (
	"testing"

	"github.com/mintreu/mintreu/service/limit"
)

// hotQuotaExact: a quota that many ask for at once at two replicas, some of whose units they hold up front, admits exactly its units, alone
// and in a group with a rate, whichever is the smaller.
func hotQuotaExact(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	for key, most := range map[string]int64{"odd": 1999, "even": 1280} {
		if n := crowd(t, limiters, 40, limit.Check{Key: key, Quota: e.month(most), Cost: 1}); n != most {
			t.Errorf("%d admitted of %d", n, most)
		}
	}
	for _, most := range []int64{1100, 1300} {
		key := string(rune('a' + most/100))
		q, r := limit.Check{Key: key + "q", Owner: "o", Quota: e.month(most), Cost: 1}, limit.Check{Key: key + "r", Owner: "o", Rate: slow(1200), Cost: 1}
		if n := crowd(t, limiters, 40, q, r); n != min(most, 1200) {
			t.Errorf("%d admitted of %d", n, min(most, 1200))
		}
		if left := most - min(most, 1200); left > 0 {
			q.Cost = left
			if out := e.found(t, limiters[0], q); !out.Allowed || out.Remaining != 0 {
				t.Errorf("what refused groups left: %+v", out)
			}
		}
	}
}

// found takes until it is admitted, for as long as what another replica holds up front may take to come back.
func (e Env) found(t *testing.T, l limit.Limiter, c limit.Check) (out limit.Result) {
	t.Helper()
	Eventually(wait, func() bool {
		out = take(t, l, c)[0]
		return out.Allowed
	})
	return out
}

// hotQuotaTrips: a quota that many ask for at once costs a trip for many of them only.
func hotQuotaTrips(t *testing.T, e Env) {
	if e.Trips == nil {
		return
	}
	l := e.New(t)
	before := e.Trips(l)
	const each = 500
	if n := crowd(t, []limit.Limiter{l}, each, limit.Check{Key: "hot", Quota: e.month(500_000), Cost: 1}); n != callers*each {
		t.Errorf("%d of %d admitted", n, callers*each)
	}
	n := e.Trips(l) - before
	t.Logf("%d trips for %d checks by %d callers", n, callers*each, callers)
	if n > each/5 {
		t.Errorf("%d trips for %d checks by %d callers", n, callers*each, callers)
	}
}

// hotQuotaLost: what a replica holds up front of a quota when it dies is wasted, and that is a 64th part at most; the others admit all of the
// rest and never more.
func hotQuotaLost(t *testing.T, e Env) {
	const most = 3200
	dies := e.New(t)
	check := limit.Check{Key: "lost", Quota: e.month(most), Cost: 1}
	n := crowd(t, []limit.Limiter{dies}, 10, check)
	if e.Die != nil {
		e.Die(dies)
	}
	n += crowd(t, []limit.Limiter{e.New(t)}, 60, check)
	if n > most || n < most-most/64 {
		t.Errorf("%d admitted of %d", n, most)
	}
}

// hotQuotaLast: the last units of a quota are found, whichever replica held some of them up front and is not asked any more.
func hotQuotaLast(t *testing.T, e Env) {
	const most = 3200
	idle, other := e.New(t), e.New(t)
	check := limit.Check{Key: "last", Quota: e.month(most), Cost: 1}
	n := crowd(t, []limit.Limiter{idle}, 10, check)
	n += crowd(t, []limit.Limiter{other}, 60, check)
	if n > most || n < most-most/64 {
		t.Fatalf("%d admitted of %d", n, most)
	}
	for ; n < most; n++ {
		if out := e.found(t, other, check); !out.Allowed {
			t.Fatalf("%d of %d were found", n, most)
		}
	}
	for _, l := range []limit.Limiter{idle, other} {
		if out := take(t, l, check)[0]; out.Allowed {
			t.Errorf("one more than %d: %+v", most, out)
		}
	}
}

// hotQuotaChanged: a quota that is raised or lowered while replicas hold units of it up front is exact at once at a replica that knows: nothing is
// spent of what was taken under the other, and none of it is lost.
func hotQuotaChanged(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	was := e.month(6400)
	used := crowd(t, limiters, 10, limit.Check{Key: "q", Quota: was, Cost: 1})
	for _, most := range []int64{1000, 1500, 1200} {
		is := was
		is.Most = most
		want := max(most-used, 0)
		if n := crowd(t, limiters, 20, limit.Check{Key: "q", Quota: is, Cost: 1}); n != want {
			t.Errorf("%d admitted when the quota became %d of which %d were used", n, most, used)
		}
		used += want
	}
}

// hotQuotaGiven: what is given back to a quota of which units lie up front can be taken again, and is told, no more and no less.
func hotQuotaGiven(t *testing.T, e Env) {
	const most = 6400
	l := e.New(t)
	check := limit.Check{Key: "q", Quota: e.month(most), Cost: 1}
	used := crowd(t, []limit.Limiter{l}, 10, check)
	back := check
	back.Cost = 100
	l.Give(t.Context(), []limit.Check{back})
	used -= 100
	for _, c := range []limit.Check{check, check, {Key: "q", Quota: check.Quota, Cost: most - used - 2}} {
		looked, err := l.Look(t.Context(), [][]limit.Check{{c}})
		if err != nil || !looked[0][0].Allowed || looked[0][0].Remaining != most-used {
			t.Errorf("looked at: %+v, %v, want %d", looked, err, most-used)
		}
		used += c.Cost
		if out := take(t, l, c)[0]; !out.Allowed || out.Remaining != most-used {
			t.Errorf("cost %d: %+v, want %d left", c.Cost, out, most-used)
		}
	}
	if out := take(t, l, check)[0]; out.Allowed {
		t.Errorf("one more: %+v", out)
	}
}
