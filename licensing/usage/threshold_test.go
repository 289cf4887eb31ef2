package usage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
