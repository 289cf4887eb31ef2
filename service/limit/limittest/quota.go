package limittest

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// month is a quota whose period does not end while a test runs.
func (e Env) month(most int64) limit.Quota {
	from := e.Now().Add(-time.Hour).Truncate(time.Second)
	return limit.Quota{Most: most, From: from, Until: from.Add(31 * 24 * time.Hour)}
}

// owners: a group whose checks are not of one owner is refused and spends nothing.
func owners(t *testing.T, e Env) {
	l := e.New(t)
	one, two := limit.Check{Key: "1", Owner: "a", Rate: slow(1), Cost: 1}, limit.Check{Key: "2", Owner: "b", Rate: slow(1), Cost: 1}
	none := limit.Check{Key: "3", Rate: slow(1), Cost: 1}
	for i, group := range [][]limit.Check{{one, two}, {one, none}, {none, one}, {none, {Key: "4", Rate: slow(1), Cost: 1}}} {
		if _, err := l.Take(t.Context(), group); !errors.Is(err, apikey.ErrOwner) {
			t.Errorf("group %d: %v", i, err)
		}
	}
	for _, c := range []limit.Check{one, two, none} {
		if !take(t, l, c)[0].Allowed {
			t.Errorf("%s was spent", c.Key)
		}
	}
}

// quotaExact: of a thousand attempts by a hundred callers of two limiters exactly the quota is admitted, with costs of two and one.
func quotaExact(t *testing.T, e Env) {
	limiters := []limit.Limiter{e.New(t), e.New(t)}
	quota := e.month(101)
	var spent atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			for range 5 {
				for n, l := range limiters {
					cost := int64(1 + (i+n)%2)
					out, err := l.Take(t.Context(), []limit.Check{{Key: "quota", Quota: quota, Cost: cost}})
					switch {
					case err != nil || out[0].Degraded:
						t.Errorf("caller %d: %+v, %v", i, out, err)
					case out[0].Allowed:
						spent.Add(cost)
					case out[0].RetryAfter <= 0:
						t.Error("a refusal without retry-after")
					}
				}
			}
		})
	}
	wg.Wait()
	if spent.Load() != quota.Most {
		t.Errorf("%d units admitted, want %d", spent.Load(), quota.Most)
	}
}

// moved: a quota that goes on in another zone, back and forth, has the counter of its period by the calendar, and begins no other before that is over.
func moved(t *testing.T, e Env) {
	one, two := e.New(t), e.New(t)
	within := time.Date(e.Now().Year()+1, time.July, 15, 12, 0, 0, 0, time.UTC)
	for _, every := range []licensing.Every{licensing.Daily, licensing.Weekly, licensing.Monthly, licensing.Yearly} {
		in := func(zone string, at time.Time) limit.Check {
			return limit.Check{Key: string(every), Quota: apikey.Limit{Count: 2, Every: every, Zone: zone}.Quota(at), Cost: 1}
		}
		if !take(t, one, in("", within))[0].Allowed || !take(t, two, in("Europe/Berlin", within))[0].Allowed {
			t.Errorf("%s: what is left is refused in another zone", every)
		}
		for i, zone := range []string{"", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Honolulu", ""} {
			if take(t, []limit.Limiter{one, two}[i%2], in(zone, within))[0].Allowed {
				t.Errorf("%s: more than the quota in %q", every, zone)
			}
		}
		_, next := every.Period(within, time.UTC)
		if !take(t, one, in("Europe/Berlin", next.Add(48*time.Hour)))[0].Allowed {
			t.Errorf("%s: the next period is refused", every)
		}
	}
}

// periods: each period has its own counter, whose end is told.
func periods(t *testing.T, e Env) {
	l := e.New(t)
	now := e.month(3)
	next := limit.Quota{Most: 3, From: now.Until, Until: now.Until.Add(time.Hour)}
	for i := range 4 {
		out := take(t, l, limit.Check{Key: "p", Quota: now, Cost: 1})[0]
		left := now.Until.Sub(e.Now())
		if out.Allowed != (i < 3) || out.Remaining != max(2-int64(i), 0) || out.Reset > left+time.Minute || out.Reset < left-time.Minute {
			t.Errorf("take %d: %+v", i, out)
		}
		if !out.Allowed && (out.RetryAfter > left+time.Minute || out.RetryAfter < left-time.Minute) {
			t.Errorf("take %d: %+v, the period ends in %s", i, out, left)
		}
	}
	if out := take(t, l, limit.Check{Key: "p", Quota: next, Cost: 3})[0]; !out.Allowed || out.Remaining != 0 {
		t.Errorf("the next period: %+v", out)
	}
	if take(t, l, limit.Check{Key: "p", Quota: now, Cost: 1})[0].Allowed {
		t.Error("the period before came back")
	}
	if !take(t, l, limit.Check{Key: "p", Rate: slow(1), Cost: 1})[0].Allowed {
		t.Error("a rate of the same name was spent by the quota")
	}
}

// quotaWithRate: a quota and a rate of one group are spent together or not at all, whichever refuses.
func quotaWithRate(t *testing.T, e Env) {
	l := e.New(t)
	quota, rate := limit.Check{Key: "q", Owner: "o", Quota: e.month(5), Cost: 1}, limit.Check{Key: "r", Owner: "o", Rate: slow(2), Cost: 1}
	for i := range 5 {
		out := take(t, l, rate, quota)
		if out[0].Allowed != (i < 2) || !out[1].Allowed || out[1].Remaining != max(4-int64(i), 3) {
			t.Fatalf("take %d: %+v", i, out)
		}
	}
	quota.Cost, rate.Key, rate.Rate = 4, "r2", slow(9)
	for range 3 {
		if out := take(t, l, quota, rate); out[0].Allowed || !out[1].Allowed || out[0].Remaining != 3 || out[1].Remaining != 9 {
			t.Fatalf("%+v", out)
		}
	}
	quota.Cost = 1
	if out := take(t, l, quota, quota, rate, quota); !out[0].Allowed || !out[1].Allowed || !out[3].Allowed || out[3].Remaining != 0 {
		t.Errorf("three of three in one group: %+v", out)
	}
}

// quotas: one that cannot be counted is refused, and so is a cost that it never admits.
func quotas(t *testing.T, e Env) {
	l := e.New(t)
	good := e.month(10)
	for _, q := range []limit.Quota{
		{Most: 10}, {Most: 0, From: good.From, Until: good.Until}, {Most: -1, From: good.From, Until: good.Until},
		{Most: math.MaxInt64, From: good.From, Until: good.Until}, {Most: 10, From: good.Until, Until: good.From}, {Most: 10, From: good.From, Until: good.From},
	} {
		if _, err := l.Take(t.Context(), []limit.Check{{Key: "q", Quota: q, Cost: 1}}); !errors.Is(err, apikey.ErrQuota) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := l.Take(t.Context(), []limit.Check{{Key: "q", Quota: good, Rate: slow(1), Cost: 1}}); !errors.Is(err, apikey.ErrQuota) {
		t.Errorf("a quota and a rate: %v", err)
	}
	for _, cost := range []int64{0, -1, math.MinInt64, 11, math.MaxInt64} {
		if _, err := l.Take(t.Context(), []limit.Check{{Key: "q", Quota: good, Cost: cost}}); !errors.Is(err, apikey.ErrCost) {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
	if !take(t, l, limit.Check{Key: "q", Quota: good, Cost: 10})[0].Allowed {
		t.Error("a refused request spent something")
	}
}

// lowered: a quota that was lowered below what is used refuses, and one that was raised admits what was added.
func lowered(t *testing.T, e Env) {
	l := e.New(t)
	q := e.month(10)
	take(t, l, limit.Check{Key: "l", Quota: q, Cost: 8})
	q.Most = 5
	if out := take(t, l, limit.Check{Key: "l", Quota: q, Cost: 1})[0]; out.Allowed || out.Remaining != 0 {
		t.Errorf("lowered: %+v", out)
	}
	q.Most = 12
	for i, want := range []bool{true, false} {
		if out := take(t, l, limit.Check{Key: "l", Quota: q, Cost: 4})[0]; out.Allowed != want {
			t.Errorf("raised, take %d: %+v", i, out)
		}
	}
}

// given: what is given back can be taken again, at once where it was given; never more than was taken.
func given(t *testing.T, e Env) {
	l := e.New(t)
	quota, rate := limit.Check{Key: "g", Owner: "o", Quota: e.month(5), Cost: 5}, limit.Check{Key: "gr", Owner: "o", Rate: slow(5), Cost: 5}
	take(t, l, quota, rate)
	quota.Cost, rate.Cost = 1, 1
	if out := take(t, l, quota, rate); out[0].Allowed || out[1].Allowed {
		t.Fatalf("%+v", out)
	}
	quota.Cost, rate.Cost = 2, 2
	l.Give(t.Context(), []limit.Check{quota, rate})
	if out := take(t, l, quota, rate); !out[0].Allowed || !out[1].Allowed || out[0].Remaining != 0 || out[1].Remaining != 0 {
		t.Errorf("what was given back: %+v", out)
	}
	quota.Cost, rate.Cost = 100, 100
	quota.Quota.Most = 1000 // so that the cost is one
	l.Give(t.Context(), []limit.Check{quota})
	l.Give(t.Context(), []limit.Check{{Key: "unheard of", Rate: slow(5), Cost: 5}, {Key: "unheard of", Quota: e.month(5), Cost: 5}})
	quota.Quota.Most, quota.Cost = 5, 5
	if out := take(t, l, quota)[0]; !out.Allowed || out.Remaining != 0 {
		t.Errorf("given back more than was taken: %+v", out)
	}
	late := limit.Check{Key: "late", Owner: "o", Rate: slow(8), Cost: 8}
	take(t, l, late)
	late.Less = 3*time.Hour + 30*time.Minute // which came back by themselves
	l.Give(t.Context(), []limit.Check{late})
	late.Cost, late.Less = 4, 0
	if out := take(t, l, late)[0]; !out.Allowed || out.Remaining != 0 {
		t.Errorf("given back late: %+v", out)
	}
	late.Cost, late.Less = 1, 5*time.Hour // more than all of it
	l.Give(t.Context(), []limit.Check{late})
	if out := take(t, l, late)[0]; out.Allowed {
		t.Errorf("given back when nothing was left to give: %+v", out)
	}
}

// outlives: a quota whose counter is not there is decided only with what is known of it, and begins there, once.
func outlives(t *testing.T, e Env) {
	l, ok := e.New(t).(limit.Engine)
	if !ok {
		t.Fatal("not an engine")
	}
	quota, rate := limit.Check{Key: "lost", Owner: "o", Quota: e.month(10), Cost: 1}, limit.Check{Key: "lostr", Owner: "o", Rate: slow(3), Cost: 1}
	unknown := func(string) (int64, bool) { return 0, false }
	asked := map[string]bool{}
	seven := func(counter string) (int64, bool) { asked[counter] = true; return 7, true }
	decide := func(known limit.Known, groups ...[]limit.Check) [][]limit.Result {
		t.Helper()
		out, err := l.Decide(t.Context(), groups, known)
		if err != nil || len(out) != len(groups) {
			t.Fatalf("%+v, %v", out, err)
		}
		return out
	}
	out := decide(unknown, []limit.Check{rate, quota}, []limit.Check{rate}, []limit.Check{quota, rate})
	if out[0] != nil || out[2] != nil || len(out[1]) != 1 || out[1][0].Remaining != 2 {
		t.Fatalf("unknown: %+v", out)
	}
	out = decide(seven, []limit.Check{rate, quota})
	if !out[0][0].Allowed || !out[0][1].Allowed || out[0][1].Remaining != 2 || out[0][0].Remaining != 1 || !asked[limit.Counter(&quota)] || len(asked) != 1 {
		t.Fatalf("known: %+v, asked for %v", out, asked)
	}
	out = decide(unknown, []limit.Check{quota}, []limit.Check{quota}, []limit.Check{quota})
	if !out[0][0].Allowed || !out[1][0].Allowed || out[2][0].Allowed {
		t.Fatalf("ten of ten: %+v", out)
	}
	full := limit.Check{Key: "full", Owner: "o", Quota: e.month(10), Cost: 1}
	out = decide(func(string) (int64, bool) { return 10, true }, []limit.Check{full}, []limit.Check{full})
	if out[0][0].Allowed || out[1][0].Allowed {
		t.Fatalf("used up before: %+v", out)
	}
}

// look: how counters stand is told as a take would find them, and nothing is spent, neither by a look that would be admitted nor by one that would
// not; each group stands by itself, and a quota of which nothing is known stays undecided.
func look(t *testing.T, e Env) {
	l := e.New(t)
	quota, rate := limit.Check{Key: "lq", Owner: "o", Quota: e.month(5), Cost: 2}, limit.Check{Key: "lr", Owner: "o", Rate: slow(3), Cost: 1}
	sees := func(group []limit.Check, want ...limit.Result) {
		t.Helper()
		for range 3 {
			out, err := l.Look(t.Context(), [][]limit.Check{group, {}, group})
			if err != nil || len(out) != 3 || len(out[1]) != 0 {
				t.Fatalf("%+v, %v", out, err)
			}
			for _, got := range [][]limit.Result{out[0], out[2]} {
				for i, r := range got {
					if r.Allowed != want[i].Allowed || r.Remaining != want[i].Remaining || (r.RetryAfter > 0) == r.Allowed || r.Degraded {
						t.Errorf("check %d: %+v, want %+v", i, r, want[i])
					}
				}
			}
		}
	}
	sees([]limit.Check{quota, rate}, limit.Result{Allowed: true, Remaining: 5}, limit.Result{Allowed: true, Remaining: 3})
	take(t, l, quota, rate)
	sees([]limit.Check{quota, rate}, limit.Result{Allowed: true, Remaining: 3}, limit.Result{Allowed: true, Remaining: 2})
	take(t, l, quota, rate)
	sees([]limit.Check{quota, rate}, limit.Result{Remaining: 1}, limit.Result{Allowed: true, Remaining: 1})
	if out := take(t, l, rate); !out[0].Allowed || out[0].Remaining != 0 {
		t.Errorf("a look was remembered: %+v", out)
	}
	if _, err := l.Look(t.Context(), [][]limit.Check{{{Key: "bad", Rate: slow(1), Cost: 2}}}); !errors.Is(err, apikey.ErrCost) {
		t.Errorf("an impossible cost: %v", err)
	}
	other := limit.Check{Key: "unknown", Quota: e.month(5), Cost: 1}
	out, err := l.(limit.Engine).LookAt(t.Context(), [][]limit.Check{{other}, {rate}}, func(string) (int64, bool) { return 0, false })
	if err != nil || out[0] != nil || len(out[1]) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
