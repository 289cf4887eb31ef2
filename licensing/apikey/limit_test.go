package apikey_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestA13_LimitedThenRefused: exactly the limit is verified, then 429 with the time to wait, spending nothing; it ends by itself.
func TestA13_LimitedThenRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 5, Seconds: 60}} })
		for i := range 5 {
			got := r.verify(t, apikey.VerifyCheck{Key: text})
			if got.Code != apikey.Valid || got.Limits[0].Remaining != int64(4-i) {
				t.Fatalf("use %d: %+v", i, got)
			}
		}
		for range 3 {
			got := r.verify(t, apikey.VerifyCheck{Key: text})
			if got.Code != apikey.RateLimited || got.RetryAfter != 12 || got.Limits[0].Allowed {
				t.Fatalf("beyond: %+v", got)
			}
		}
		_, err := r.Authorize(t.Context(), apikey.Question{Text: text})
		var told *licensing.Error
		if !errors.As(err, &told) || told.Kind != licensing.TooMany || told.Code != "quota-exceeded" || told.RetryAfter != seconds(12) {
			t.Errorf("authorize: %v", err)
		}
		e.Clock.Advance(seconds(12))
		r.poll(t)
		expect(t, "after the wait", r.code(t, text), apikey.Valid)
		expect(t, "and no more", r.code(t, text), apikey.RateLimited)
	})
}

// TestLimitsAreCountedPerOwner: limits of plan and owner are shared by the keys of one owner and never across owners or
// environments; a refusal by one spends none of the others.
func TestLimitsAreCountedPerOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	with := func(owner licensing.Owner, env licensing.Env) string {
		_, text := r.issue(t, func(c *apikey.CreateRequest) {
			c.Owner, c.Env = owner, env
			c.Limits = []apikey.Limit{{Name: "all", Per: apikey.PerOwner, Count: 3, Seconds: 3600}, {Name: "own", Count: 100, Seconds: 3600}}
		})
		return text
	}
	a1, a2, a3, b := with("cus_a", "live"), with("cus_a", "live"), with("cus_a", "test"), with("cus_b", "live")
	for _, text := range []string{a1, a2, a1, b, a3} {
		expect(t, "within", r.code(t, text), apikey.Valid)
	}
	for range 5 {
		got := r.verify(t, apikey.VerifyCheck{Key: a2})
		if got.Code != apikey.RateLimited || got.Limits[1].Remaining != 99 || !got.Limits[1].Allowed {
			t.Fatalf("%+v", got)
		}
	}
	expect(t, "the other owner", r.code(t, b), apikey.Valid)
}

// TestA13_SharedRatesKeepTheirOwn: keys whose plan has changed between them count a rate that they share each by what its own says: the use of
// the smaller, which can hold less, gives nothing back to the larger.
func TestA13_SharedRatesKeepTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	with := func(per apikey.Span, count int64) string {
		_, text := r.issue(t, func(c *apikey.CreateRequest) {
			c.Limits = []apikey.Limit{{Name: "all", Per: per, Count: count, Seconds: 3600}}
		})
		return text
	}
	for _, per := range []apikey.Span{apikey.PerOwner, apikey.PerPlan, apikey.PerMember} {
		large, small := with(per, 10), with(per, 2)
		admitted := 0
		for range 30 {
			r.code(t, small)
			if r.code(t, large) == apikey.Valid {
				admitted++
			}
		}
		if admitted != 10 {
			t.Errorf("per %s: %d admitted of 10", per, admitted)
		}
	}
}

// TestA22_CostsRefused: zero, negative and huge costs are refused by name and spend nothing.
func TestA22_CostsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 5, Seconds: 60}} })
	for _, cost := range []int64{0, -1, math.MinInt64, 6, math.MaxInt64} {
		_, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(cost)}})
		if licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
	if got := r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(5))}); got.Code != apikey.Valid || got.Limits[0].Remaining != 0 {
		t.Errorf("%+v", got)
	}
}

// TestA18_RefusalsReadNothing: a flood over the limit is answered without the database, 99 of 100 refusals in a millisecond of the
// processor's time at most. What others do on the machine is not counted.
func TestA18_RefusalsReadNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 60}} })
	expect(t, "first", r.code(t, text), apikey.Valid)
	reads := r.store.reads.Load()
	took := storetest.CPU(t, 1000, func() { expect(t, "flood", r.code(t, text), apikey.RateLimited) })
	t.Logf("a refusal takes %v, and 99 of 100 at most %v", took[500], took[990])
	if took[990] > time.Millisecond {
		t.Errorf("99 of 100 refusals take up to %v", took[990])
	}
	if n := r.store.reads.Load() - reads; n != 0 {
		t.Errorf("%d reads", n)
	}
}

// TestQuotaOfAKey: a quota is spent to the unit, refuses until its calendar's period ends, with a code of its own that says more
// than a rate that is over too, and begins anew then. A limit is either.
func TestQuotaOfAKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, text := r.issue(t, func(c *apikey.CreateRequest) {
			c.Limits = []apikey.Limit{{Name: "daily", Count: 3, Every: licensing.Daily, Zone: "Asia/Kathmandu"}, {Name: "calls", Count: 4, Seconds: 3600}}
		})
		zone, err := time.LoadLocation("Asia/Kathmandu")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			expect(t, "within", r.code(t, text), apikey.Valid)
		}
		got := r.verify(t, apikey.VerifyCheck{Key: text})
		_, end := licensing.Daily.Period(e.Clock.Now(), zone)
		left := end.Sub(e.Clock.Now())
		if got.Code != apikey.QuotaExceeded || got.RetryAfter != left.Seconds() || got.Limits[0].Every != licensing.Daily || got.Limits[1].Remaining != 1 {
			t.Errorf("%+v, the day ends in %s", got, left)
		}
		v, err := r.Authorize(t.Context(), apikey.Question{Text: text})
		var told *licensing.Error
		if !errors.As(err, &told) || told.Kind != licensing.TooMany || told.Code != "quota-exceeded" || told.RetryAfter != left {
			t.Errorf("authorize: %v", err)
		}
		if most, window := v.Limits[0].Window(); most != 3 || window != 24*time.Hour {
			t.Errorf("%d in %s", most, window)
		}
		e.Clock.Advance(left)
		r.poll(t)
		expect(t, "the next day", r.code(t, text), apikey.Valid)
		for i, l := range []apikey.Limit{
			{Name: "a", Count: 3, Every: "fortnight"}, {Name: "a", Count: 3, Every: licensing.Daily, Zone: "Mars/Olympus"}, {Name: "a", Count: 3, Every: licensing.Daily, Seconds: 5},
			{Name: "a", Count: 0, Every: licensing.Daily}, {Name: "a", Count: 3, Seconds: 5, Zone: "UTC"}, {Name: "a", Count: 3, Every: licensing.Daily, Zone: "Local"},
			{Name: "a", Count: 3, Every: licensing.Daily, Degraded: "maybe"},
		} {
			if _, err := r.Create(as(t, admin), apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "n", Limits: []apikey.Limit{l}}); !errors.Is(err, apikey.ErrSpec) {
				t.Errorf("limit %d: %v", i, err)
			}
		}
	})
}

// TestA13_QuotaInAnotherZone: a quota that staff give another zone goes on with what was used, and keys that share it
// count together whatever zone each says, and its next period begins by the calendar of its own zone.
func TestA13_QuotaInAnotherZone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		e.Clock.Advance(time.Date(2030, time.November, 30, 12, 0, 0, 0, time.UTC).Sub(e.Clock.Now()))
		r.poll(t)
		monthly := func(per apikey.Span, zone string) []apikey.Limit {
			return []apikey.Limit{{Name: "monthly", Per: per, Count: 3, Every: licensing.Monthly, Zone: zone}}
		}
		with := func(limits []apikey.Limit) (id, text string) {
			return r.issue(t, func(c *apikey.CreateRequest) { c.Limits = limits })
		}
		_, here := with(monthly(apikey.PerOwner, ""))
		_, there := with(monthly(apikey.PerOwner, "Asia/Kathmandu"))
		for _, text := range []string{here, there, here} {
			expect(t, "shared, within", r.code(t, text), apikey.Valid)
		}
		expect(t, "shared, beyond", r.code(t, there), apikey.QuotaExceeded)
		id, text := with(monthly(apikey.PerKey, ""))
		for range 3 {
			expect(t, "within", r.code(t, text), apikey.Valid)
		}
		for _, zone := range []string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "", "Europe/Berlin"} {
			if _, err := r.SetLimits(as(t, admin), apikey.LimitsRequest{ID: id, Limits: monthly(apikey.PerKey, zone), Reason: "they moved"}); err != nil {
				t.Fatal(err)
			}
			r.poll(t)
			expect(t, "moved to "+zone, r.code(t, text), apikey.QuotaExceeded)
		}
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		_, end := licensing.Monthly.Period(e.Clock.Now(), berlin)
		if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.RetryAfter != end.Sub(e.Clock.Now()).Seconds() {
			t.Errorf("moved: %+v, the month ends at %s", got, end)
		}
		e.Clock.Advance(end.Sub(e.Clock.Now()))
		r.poll(t)
		expect(t, "the next month in Berlin", r.code(t, text), apikey.Valid)
		if _, err := r.SetLimits(as(t, admin), apikey.LimitsRequest{ID: id, Limits: monthly(apikey.PerKey, "Pacific/Honolulu"), Reason: "they moved"}); err != nil {
			t.Fatal(err)
		}
		r.poll(t)
		expect(t, "November again, in Honolulu", r.code(t, text), apikey.QuotaExceeded)
	})
}

// TestLook: how limits stand is told without spending any, rates and quotas alike.
func TestLook(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	for _, limits := range [][]apikey.Limit{
		{{Name: "daily", Count: 3, Every: licensing.Daily}, {Name: "calls", Count: 4, Seconds: 3600}},
		{{Name: "calls", Count: 4, Seconds: 3600}, {Name: "daily", Count: 3, Every: licensing.Daily}},
	} {
		id, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = limits })
		expect(t, "one use", r.code(t, text), apikey.Valid)
		k, err := r.store.Key(t.Context(), id, apikey.Reach{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			states, err := r.Look(t.Context(), []*apikey.Key{&k})
			if err != nil || len(states) != 1 || len(states[0]) != 2 {
				t.Fatalf("%+v, %v", states, err)
			}
			for _, s := range states[0] {
				if most, _ := s.Window(); s.Remaining != most-1 || !s.Allowed {
					t.Errorf("%s: %+v", s.Limit.Name, s)
				}
			}
		}
	}
}

// TestLimitPeriod: a limit's period reads as a sentence does.
func TestLimitPeriod(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]apikey.Limit{
		"a minute": {Seconds: 60}, "every 90 seconds": {Seconds: 90}, "every 2 hours": {Seconds: 7200}, "a day": {Every: licensing.Daily, Zone: "UTC"},
		"an hour": {Every: licensing.Hourly}, "a month (Europe/Berlin)": {Every: licensing.Monthly, Zone: "Europe/Berlin"},
	} {
		if got := l.Period(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// silent is a Limiter whose answers are cut off, as a broken one's may be: so many groups, and so many results of each.
type silent struct {
	apikey.Limiter
	groups, results int
}

func (s silent) cut(taken [][]apikey.Taken, err error) ([][]apikey.Taken, error) {
	taken = taken[:min(s.groups, len(taken))]
	for i := range taken {
		taken[i] = taken[i][:min(s.results, len(taken[i]))]
	}
	return taken, err
}

func (s silent) TakeEach(ctx context.Context, groups [][]apikey.Check) ([][]apikey.Taken, error) {
	return s.cut(s.Limiter.TakeEach(ctx, groups))
}

func (s silent) Look(ctx context.Context, groups [][]apikey.Check) ([][]apikey.Taken, error) {
	return s.cut(s.Limiter.Look(ctx, groups))
}

// TestINV7_NoAnswerRefuses: a limit of which the limiter says nothing refuses, whether all of its answer is missing or the end of it; the use
// costs no credits, and whoever looks is told the same.
func TestINV7_NoAnswerRefuses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, func(c *apikey.CreateRequest) {
			credits(10)(c)
			c.Limits = []apikey.Limit{{Name: "one", Count: 9, Seconds: 3600}, {Name: "two", Count: 9, Every: licensing.Daily}}
		})
		k, err := r.store.Key(t.Context(), id, apikey.Reach{})
		if err != nil {
			t.Fatal(err)
		}
		whole := r.limiter.Limiter
		for _, c := range []silent{{whole, 0, 0}, {whole, 1, 0}, {whole, 1, 1}} {
			r.limiter.Limiter = c
			r.Invalidate(id) // and what was refused a moment ago
			if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.QuotaExceeded || !got.Degraded || got.RetryAfter <= 0 || len(got.Limits) != 2 || got.Limits[1].Allowed || got.Credits.Remaining != 10 {
				t.Errorf("%d groups of %d results: %+v", c.groups, c.results, got)
			}
			states, err := r.Look(t.Context(), []*apikey.Key{&k})
			if err != nil || len(states[0]) != 2 || states[0][1].Allowed || !states[0][1].Degraded {
				t.Errorf("%d groups of %d results: looked at %+v, %v", c.groups, c.results, states, err)
			}
		}
		r.limiter.Limiter = whole
		r.Invalidate(id)
		expect(t, "once it is whole again", r.code(t, text), apikey.Valid)
	})
}

// TestFreeName: one more limit never has the name of one that is there.
func TestFreeName(t *testing.T) {
	t.Parallel()
	has := []apikey.Limit{{Name: "own"}, {Name: "own-2"}, {Name: "plan"}}
	for name, want := range map[string]string{"own": "own-3", "plan": "plan-2", "extra": "extra"} {
		if got := apikey.FreeName(name, has); got != want {
			t.Errorf("beside %v, %q becomes %q, want %q", has, name, got, want)
		}
	}
}
