package redis

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

// onRedis makes a limiter on the server under test, with counters of its own.
func onRedis(t *testing.T) *Limiter {
	t.Helper()
	l, err := New(Config{URL: limittest.Redis(t), Prefix: rand.Text(), Budget: 20 * time.Second, Clock: time.Now})
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

// TestINV7_RoundsOverlap: a caller who does not know yet how a quota stands shares a batch with one who does, in either order: both are decided,
// by what is known, and no more is admitted than the quota.
func TestINV7_RoundsOverlap(t *testing.T) {
	t.Parallel()
	l := onRedis(t)
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, turns := range map[string][]bool{"first": {false, true, false}, "last": {true, false, false}, "between": {false, true, true}} {
		c := limit.Check{Key: name, Quota: limit.Quota{Most: 10, From: from, Until: from.Add(744 * time.Hour)}, Cost: 1}
		rate := limit.Check{Key: name + " rate", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 100}, Cost: 1}
		rate.Owner, c.Owner = "o", "o"
		var calls []*call
		for _, knows := range turns {
			calls = append(calls, &call{groups: []group{l.group([]limit.Check{rate, c})}, checks: 2, known: func(string) (int64, bool) { return 8, knows }})
		}
		l.run(calls)
		for i, call := range calls {
			if out := call.results[0]; len(out) != 2 || !out[0].Allowed || out[1].Allowed != (i < 2) || out[1].Remaining != max(1-int64(i), 0) {
				t.Errorf("%s, caller %d: %+v", name, i, out)
			}
		}
	}
}

// TestLook_LeavesStocks: who looks at a counter of which tokens lie here sees them as what can be taken, and they stay for those who take.
func TestLook_LeavesStocks(t *testing.T) {
	t.Parallel()
	l := onRedis(t)
	c := limit.Check{Key: "k", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 160}, Cost: 10}
	if out, err := l.Take(t.Context(), []limit.Check{c}); err != nil || !out[0].Allowed {
		t.Fatalf("%+v, %v", out, err)
	}
	l.stock(leasing{counter: "k", check: c}, (10 * time.Hour).Microseconds(), time.Now())
	c.Cost = 155
	out, err := l.Look(t.Context(), [][]limit.Check{{c}})
	if held := l.stocks.held("k", &c); err != nil || !out[0][0].Allowed || out[0][0].Remaining != 160 || held != (10*time.Hour).Microseconds() {
		t.Errorf("%+v, %v; %d held", out, err, held)
	}
	if taken, err := l.Take(t.Context(), []limit.Check{c}); err != nil || !taken[0].Allowed || taken[0].Remaining != 5 {
		t.Errorf("%+v, %v", taken, err)
	}
}

// TestA21_UnsentIsOwed: what was given back of a quota is owed as long as nothing could be sent.
func TestA21_UnsentIsOwed(t *testing.T) {
	t.Parallel()
	l, err := New(Config{URL: "redis://127.0.0.1:1/0", Budget: 20 * time.Second, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := limit.Check{Key: "q", Quota: limit.Quota{Most: 10, From: now, Until: now.Add(time.Hour)}, Cost: 2}
	l.Give(t.Context(), []limit.Check{c})
	out, err := l.Take(t.Context(), []limit.Check{c})
	if given := l.away.owes(limit.Counter(&c)).given; err != nil || !out[0].Degraded || given != -2 {
		t.Errorf("%+v, %v; %d given", out, err, given)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
