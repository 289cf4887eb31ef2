package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// admit has a admit units of a quota or rate in process.
func (a *away) admit(t *testing.T, c limit.Check) bool {
	t.Helper()
	part, ok := a.share(c, limit.Counter(&c), 1)
	if !ok {
		return false
	}
	out, err := a.local.Take(t.Context(), []limit.Check{part})
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Allowed {
		a.spent(c, part)
	}
	return out[0].Allowed
}

// TestAway_PaidIsWhatWasSent: what is admitted or given back between the moment in which a debt is sent and the one in which it is known to be
// paid is still owed.
func TestAway_PaidIsWhatWasSent(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := func() time.Time { return now }
	for name, c := range map[string]limit.Check{
		"rate":  {Key: "r", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 100}, Degraded: apikey.Open},
		"quota": {Key: "q", Quota: limit.Quota{Most: 100, From: now, Until: now.Add(time.Hour)}, Degraded: apikey.Open},
	} {
		a := away{local: limit.NewLocal(clock), clock: clock}
		counter := limit.Counter(&c)
		c.Cost = 5
		a.admit(t, c)
		sent := a.owes(counter)
		c.Cost = 3
		a.admit(t, c)
		if a.paid(counter, sent); a.owes(counter).spent != 3 {
			t.Errorf("%s: %+v is owed after %+v was paid", name, a.owes(counter), sent)
		}
		if a.paid(counter, a.owes(counter)); a.owes(counter) != (debt{}) || len(a.parts) != 0 {
			t.Errorf("%s: %+v is owed of nothing", name, a.owes(counter))
		}
		c.Cost = 2
		a.give(&c)
		sent = a.owes(counter)
		a.give(&c)
		if a.paid(counter, sent); a.owes(counter).given != -2 {
			t.Errorf("%s: %+v is owed after %+v was given", name, a.owes(counter), sent)
		}
	}
}

// TestAway_IsBounded: more counters than can be remembered are refused, which is safe, until others have nothing to remember any more: a rate
// that came back, a quota whose period is over.
func TestAway_IsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := func() time.Time { return now }
	a := away{local: limit.NewLocal(clock), clock: clock}
	quota := limit.Quota{Most: 100, From: now, Until: now.Add(time.Minute)}
	for i := range maxAway {
		c := limit.Check{Key: fmt.Sprint(i), Cost: 1, Rate: limit.Rate{Count: 1, Period: time.Minute, Burst: 10}, Degraded: apikey.Open}
		if i%2 == 0 {
			c.Rate, c.Quota = limit.Rate{}, quota
		}
		if !a.admit(t, c) {
			t.Fatalf("%d are too many", i)
		}
		a.give(&limit.Check{Key: fmt.Sprint("given ", i), Quota: quota, Cost: 1})
	}
	more := limit.Check{Key: "more", Cost: 1, Rate: limit.Rate{Count: 1, Period: time.Minute, Burst: 10}, Degraded: apikey.Open}
	if a.admit(t, more) || len(a.parts) != maxAway {
		t.Errorf("one more than fits was admitted, %d are remembered", len(a.parts))
	}
	a.give(&limit.Check{Key: "given more", Quota: quota, Cost: 1})
	if len(a.given) != maxAway {
		t.Errorf("%d returns are remembered", len(a.given))
	}
	now, a.swept = now.Add(2*time.Hour), time.Time{}
	if !a.admit(t, more) || len(a.parts) != 1 || len(a.given) != 0 {
		t.Errorf("an hour after everything ended %d counters and %d returns are remembered", len(a.parts), len(a.given))
	}
}

// TestAway_RatesPushOutNoQuotas: however many rates are seen, such as one for each address that signs in, what was used of a quota is not forgotten
// for them, and of neither more is remembered than fits.
func TestAway_RatesPushOutNoQuotas(t *testing.T) {
	t.Parallel()
	a := away{clock: time.Now}
	quota := limit.Check{Key: "q", Quota: limit.Quota{Most: 100, From: time.Now(), Until: time.Now().Add(time.Hour)}, Cost: 1, Degraded: apikey.Open}
	a.saw(&quota, limit.Counter(&quota), 90)
	for i := range 2 * maxAway {
		rate := limit.Check{Key: fmt.Sprint(i), Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 10}, Cost: 1, Degraded: apikey.Open}
		a.saw(&rate, rate.Key, 1)
	}
	if part, ok := a.share(quota, limit.Counter(&quota), 1); !ok || part.Quota.Most != 10 || len(a.until) != maxAway {
		t.Errorf("the share is %+v, %v; %d rates are remembered", part.Quota, ok, len(a.until))
	}
}

// TestLease_NotForRefusedGroups: a group that was refused, or only looked at, takes nothing up front.
func TestLease_NotForRefusedGroups(t *testing.T) {
	t.Parallel()
	l, err := New(Config{URL: "redis://127.0.0.1:1/0", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := limit.Check{Key: "k", Owner: "o", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 160}, Cost: 1, Degraded: apikey.LeaseOnly}
	g := l.group([]limit.Check{c, {Key: "other", Owner: "o", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 1}, Cost: 1}})
	l.lease(&g, []limit.Result{{Allowed: true, Remaining: 160}, {RetryAfter: time.Hour}})
	if len(l.leases.of) != 0 {
		t.Errorf("%d leases are being taken for a refused group", len(l.leases.of))
	}
	l.lease(&g, []limit.Result{{Allowed: true, Remaining: 160}, {Allowed: true}})
	if len(l.leases.of) != 1 {
		t.Errorf("%d leases are being taken for an admitted group", len(l.leases.of))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
