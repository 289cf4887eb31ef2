package usage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// limited gives the world's license quotas, as its policy would have.
func (w *world) limited(t *testing.T, quotas map[string]license.Meter) {
	t.Helper()
	var text string
	if err := w.DB.QueryRow(t.Context(), `SELECT terms FROM license WHERE id = $1`, w.license).Scan(&text); err != nil {
		t.Fatal(err)
	}
	terms := map[string]any{}
	if err := json.Unmarshal([]byte(text), &terms); err != nil {
		t.Fatal(err)
	}
	terms["meters"] = quotas
	changed, err := json.Marshal(terms)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Exec(t.Context(), `UPDATE license SET terms = $2 WHERE id = $1`, w.license, string(changed)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) look(t *testing.T) {
	t.Helper()
	if err := w.Look(licensing.AsSystem(t.Context(), "usage.thresholds")); err != nil {
		t.Fatal(err)
	}
}

// crossings are what was told since the last time: "percent of month".
func (w *world) crossings() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.told {
		out = append(out, fmt.Sprintf("%d %s", c.Percent, c.Starts.Format("2006-01")))
	}
	w.told = nil
	slices.Sort(out)
	return out
}

func want(t *testing.T, got []string, expected ...string) {
	t.Helper()
	if !slices.Equal(got, expected) {
		t.Errorf("told %q, want %q", got, expected)
	}
}

// Each part of a quota is told of once in a period, whatever is counted, sent again, taken back and counted anew; a new period begins anew,
// and what comes in late is told of for the period in which it happened.
func TestThresholdsOncePerPeriod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 100, Period: "month"}})
		w.Clock.Set(time.Date(2026, 3, 31, 20, 0, 0, 0, time.UTC))
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		count := func(seq, n int64, at time.Time) {
			t.Helper()
			b := w.batch(src, seq, n)
			b.Rows[0].At = at.Unix() - at.Unix()%sdk.UsageBucket
			for range 2 { // the answer was lost
				if _, err := w.Count(ctx, b); err != nil {
					t.Fatal(err)
				}
			}
			w.look(t)
			w.look(t)
		}
		march := w.Clock.Now()
		count(1, 49, march)
		want(t, w.crossings())
		count(2, 1, march)
		want(t, w.crossings(), "50 2026-03")
		count(3, 10, march)
		want(t, w.crossings())
		if _, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: w.license, Meter: "pages", At: march, Events: 30, Sum: 30, Reason: "twice by mistake"}); err != nil {
			t.Fatal(err)
		}
		count(4, 60, march) // 90
		want(t, w.crossings(), "80 2026-03")
		w.Clock.Set(time.Date(2026, 4, 2, 9, 0, 0, 0, time.UTC))
		count(5, 40, march)
		want(t, w.crossings(), "100 2026-03")
		count(6, 85, w.Clock.Now())
		want(t, w.crossings(), "50 2026-04", "80 2026-04")
		got, err := w.Quotas(staff(t.Context()), usage.QuotasRequest{License: w.license}) // only the present period's are shown
		if err != nil || len(got.Items) != 1 || len(got.Items[0].Reached) != 2 || got.Items[0].Reached[1].Percent != 80 || got.Items[0].Reached[1].Used != 85 || !got.Items[0].Reached[1].At.Equal(w.Clock.Now()) {
			t.Errorf("reached: %+v, %v", got, err)
		}
	})
}

// Sources of one license that count at once, and processes that look at once, have each part told of once and none missed; the notice and
// what remembers it are one transaction.
func TestThresholdsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 100, Period: "month"}})
		const sources = 4
		calls := make([]func() error, sources)
		for i := range calls {
			ctx := w.seat(t, fmt.Sprintf("act_%d", i), "held")
			b := w.batch(w.open(t, ctx), 1, 25)
			calls[i] = func() error { _, err := w.Count(ctx, b); return err }
		}
		var all sync.WaitGroup
		for _, call := range calls {
			all.Go(func() {
				if err := call(); err != nil {
					t.Error(err)
				}
				if err := w.Look(licensing.AsSystem(t.Context(), "usage.thresholds")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.look(t)
		want(t, w.crossings(), "100 2026-03", "50 2026-03", "80 2026-03")
		var kept int64
		if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit WHERE action = 'usage.threshold' AND target = $1`, w.license).Scan(&kept); err != nil || kept != 3 {
			t.Errorf("%d rows of the trail, %v", kept, err)
		}
	})
}

// The owner says at which parts to be told, and sees it with the quotas; another customer's license is one of nobody.
func TestR02_ThresholdsOfAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 10, Period: "term"}})
		ada := customer(t.Context(), "cus_ada")
		if _, err := w.SetThresholds(customer(t.Context(), "cus_eve"), usage.ThresholdsRequest{License: w.license, Meter: "pages", Percents: []int64{1}}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("another's: %v", err)
		}
		if _, err := w.SetThresholds(ada, usage.ThresholdsRequest{License: w.license, Meter: "renders", Percents: []int64{1}}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("a meter without a quota: %v", err)
		}
		for _, bad := range [][]int64{{0}, {-1}, {1001}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}} {
			if _, err := w.SetThresholds(ada, usage.ThresholdsRequest{License: w.license, Meter: "pages", Percents: bad}); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%v: %v", bad, err)
			}
		}
		v, err := w.SetThresholds(ada, usage.ThresholdsRequest{License: w.license, Meter: "pages", Percents: []int64{90, 30, 90}})
		if err != nil || !slices.Equal(v.Percents, []int64{30, 90}) {
			t.Errorf("%+v, %v", v, err)
		}
		got, err := w.Quotas(ada, usage.QuotasRequest{License: w.license})
		if err != nil || len(got.Items) != 1 || !slices.Equal(got.Items[0].Thresholds, []int64{30, 90}) {
			t.Errorf("%+v, %v", got, err)
		}
		ctx := w.seat(t, "act_1", "held")
		if _, err := w.Count(ctx, w.batch(w.open(t, ctx), 1, 5)); err != nil {
			t.Fatal(err)
		}
		w.look(t)
		want(t, w.crossings(), "30 2020-01")
	})
}

// counts has a device of the license count n pages in the quarter of an hour in which at lies.
func (w *world) counts(t *testing.T, n int64, at time.Time) {
	t.Helper()
	id := w.IDs.New("act")
	ctx := w.seat(t, id, "held")
	b := w.batch(w.open(t, ctx), 1, n)
	b.Rows[0].At = at.Unix() - at.Unix()%sdk.UsageBucket
	if _, err := w.Count(ctx, b); err != nil {
		t.Fatal(err)
	}
}

// Of a period that is over, only what came in since is told of: neither a part that is new, nor one that a lowered quota was beyond, nor what
// there was of a meter that has a quota for the first time. The present period is told of in each of these.
func TestThresholdsOfThePastAreNews(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ada := customer(t.Context(), "cus_ada")
		march, april := time.Date(2026, 3, 31, 20, 0, 0, 0, time.UTC), time.Date(2026, 4, 2, 9, 0, 0, 0, time.UTC)
		w.Clock.Set(march)
		w.counts(t, 60, march)
		w.look(t) // there is no quota yet
		w.Clock.Set(april)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 100, Period: "month"}})
		w.counts(t, 55, april)
		w.look(t)
		want(t, w.crossings(), "50 2026-04")
		if _, err := w.SetThresholds(ada, usage.ThresholdsRequest{License: w.license, Meter: "pages", Percents: []int64{10, 50, 65}}); err != nil {
			t.Fatal(err)
		}
		w.counts(t, 1, april)
		w.look(t)
		want(t, w.crossings(), "10 2026-04")
		w.limited(t, map[string]license.Meter{"pages": {Quota: 80, Period: "month"}}) // 60 of March are 75 percent, 57 of April 71
		w.counts(t, 1, april)
		w.look(t)
		want(t, w.crossings(), "65 2026-04")
		w.limited(t, map[string]license.Meter{"pages": {Quota: 100, Period: "month"}})
		w.counts(t, 5, march) // 65
		w.look(t)
		want(t, w.crossings(), "65 2026-03")
	})
}

// Usage that comes in up to a week late is told of for the day in which it happened, also a day of which nothing was counted before.
func TestThresholdsOfDaysAgo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 10, Period: "day"}})
		first := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
		w.Clock.Set(first)
		w.counts(t, 4, first)
		w.look(t)
		w.Clock.Set(first.Add(6 * 24 * time.Hour))
		w.counts(t, 2, first)
		w.counts(t, 9, first.Add(3*24*time.Hour))
		w.look(t)
		var got []string
		for _, c := range w.told {
			got = append(got, fmt.Sprintf("%d of %s", c.Percent, c.Starts.Format("2 January")))
		}
		want(t, got, "50 of 10 March", "50 of 13 March", "80 of 13 March")
		var kept int64
		w.Clock.Advance(9 * 24 * time.Hour)
		w.counts(t, 1, w.Clock.Now())
		w.look(t)
		if err := w.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM usage_seen`).Scan(&kept); err != nil || kept != 1 {
			t.Errorf("%d rows of what was seen, %v", kept, err)
		}
	})
}

// marks has sources besides those that there are: they come by pages, and after the last page the database is gone.
type marks struct {
	usage.Thresholds
	pages [][]usage.Mark
}

func (m *marks) Counted(ctx context.Context, since time.Time, after usage.Mark, limit int) ([]usage.Mark, error) {
	if len(m.pages) == 0 {
		return nil, errors.New("the database is gone")
	}
	page := m.pages[0]
	m.pages = m.pages[1:]
	return page, nil
}

// broken is a license that cannot be read.
type broken struct {
	usage.Licenses
	id string
}

func (b broken) Get(ctx context.Context, r license.GetRequest) (license.View, error) {
	if r.ID == b.id {
		return license.View{}, errors.New("terms: unexpected end of input")
	}
	return b.Licenses.Get(ctx, r)
}

// A license that cannot be looked at keeps no other from being told of; it is said which one it is, and it is come back to for an hour.
func TestOneBadLicenseStopsNoNotice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 10, Period: "month"}})
		now := w.Clock.Now()
		w.counts(t, 5, now)
		bad, deps := usage.Mark{At: now.Add(-time.Minute), Source: "src_0", License: "lic_bad"}, w.deps
		deps.Licenses = broken{deps.Licenses, "lic_bad"}
		look := func() error {
			deps.Thresholds = &marks{w.deps.Thresholds, [][]usage.Mark{{bad, {At: now, Source: "src_1", License: w.license}}}}
			return usage.New(deps).Look(licensing.AsSystem(t.Context(), "usage.thresholds"))
		}
		if err := look(); err == nil || !strings.Contains(err.Error(), "lic_bad") {
			t.Errorf("of the bad license it says %v", err)
		}
		want(t, w.crossings(), "50 2026-03")
		if at, err := w.deps.Thresholds.Watched(t.Context()); err != nil || !at.Equal(bad.At) {
			t.Errorf("looked through up to %v, %v", at, err)
		}
		w.Clock.Advance(2 * time.Hour)
		_ = look()
		if at, err := w.deps.Thresholds.Watched(t.Context()); err != nil || !at.Equal(w.Clock.Now()) {
			t.Errorf("two hours later looked through up to %v, %v", at, err)
		}
	})
}

// What was looked through stays so when the rest cannot be: the next time begins after the last whole page.
func TestLookKeepsItsProgress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		page := make([]usage.Mark, 500)
		for i := range page {
			page[i] = usage.Mark{At: w.Clock.Now().Add(time.Duration(i-1000) * time.Second), Source: fmt.Sprintf("src_%d", i), License: w.license}
		}
		deps := w.deps
		deps.Thresholds = &marks{w.deps.Thresholds, [][]usage.Mark{page}}
		if err := usage.New(deps).Look(licensing.AsSystem(t.Context(), "usage.thresholds")); err == nil {
			t.Error("a database that is gone was not missed")
		}
		if at, err := w.deps.Thresholds.Watched(t.Context()); err != nil || !at.Equal(page[499].At) {
			t.Errorf("looked through up to %v, want %v, %v", at, page[499].At, err)
		}
	})
}

// A quota that is lowered below what is used is told of without more usage: the product that minds it reports none. It is told of once.
func TestThresholds_LoweredQuota(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.Clock.Set(time.Date(2026, 3, 10, 20, 0, 0, 0, time.UTC))
		w.limited(t, map[string]license.Meter{"pages": {Quota: 1000, Period: "month"}})
		ctx := w.seat(t, "act_1", "held")
		if _, err := w.Count(ctx, w.batch(w.open(t, ctx), 1, 90)); err != nil {
			t.Fatal(err)
		}
		w.look(t)
		w.Clock.Advance(time.Hour)
		w.look(t)
		want(t, w.crossings())
		w.Clock.Advance(time.Hour)
		w.limited(t, map[string]license.Meter{"pages": {Quota: 100, Period: "month"}})
		for range 2 {
			if _, err := w.DB.Exec(t.Context(), `INSERT INTO change (kind, id, at) VALUES ('license', $1, $2)`, w.license, w.Clock.Now()); err != nil { // as whoever changes it does
				t.Fatal(err)
			}
		}
		w.look(t)
		want(t, w.crossings(), "50 2026-03", "80 2026-03")
		w.look(t)
		want(t, w.crossings())
	})
}
