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
