package usage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Whatever was sent, sent again, corrected, late or in single events: the opening balance, the batches and the corrections of every
// stretch of days come to its closing balance, which opens the next one, and the last one is what a query answers.
func TestExplain_AddsUpExactly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.meter(t, "pages", "sum")
		r := rand.New(rand.NewPCG(11, 3))
		first := w.Clock.Now()
		ctx, key := w.key(t, "cus_ada")
		sources := []string{w.open(t, ctx), w.open(t, ctx)}
		seqs := []int64{0, 0}
		corrected, refused := 0, 0
		for step := range 60 {
			w.Clock.Advance(time.Duration(r.IntN(20*60)) * time.Minute)
			now := w.Clock.Now()
			back := now.Add(-time.Duration(r.IntN(40*24*60)) * time.Minute).Truncate(15 * time.Minute)
			switch r.IntN(4) {
			case 0, 1:
				i := r.IntN(2)
				seqs[i]++
				b := sdk.UsageRequest{Source: sources[i], Seq: seqs[i]}
				for range 1 + r.IntN(3) {
					b.Rows = append(b.Rows, sdk.UsageRow{Meter: "pages", Subject: []string{"", "a"}[r.IntN(2)], Group: []string{"", "eu"}[r.IntN(2)], At: back.Unix(), Events: 1 + r.Int64N(5), Sum: 5 + r.Int64N(50), Max: 5})
				}
				for range 1 + r.IntN(2) {
					if _, err := w.Count(ctx, b); err != nil {
						t.Fatal(err)
					}
				}
			case 2:
				if _, err := w.Events(ctx, usage.EventsRequest{Events: []usage.CloudEvent{event(fmt.Sprint(step/2), back, "", map[string]any{"n": float64(r.IntN(9))})}}); err != nil {
					t.Fatal(err)
				}
			default:
				var at time.Time
				var subject, group string
				err := e.DB.QueryRow(ctx, `SELECT starts_at, subject, grp FROM usage_total WHERE carrier = $1 AND span = 'quarter' ORDER BY starts_at DESC, subject LIMIT 1`, key).Scan(&at, &subject, &group)
				if err != nil {
					continue // nothing is counted yet
				}
				switch _, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: key, Meter: "pages", Subject: subject, Group: group, At: at, Events: 1, Sum: r.Int64N(12), Reason: "counted twice"}); {
				case err == nil:
					corrected++
				case licensing.KindOf(err) == licensing.Conflict:
					refused++
				default:
					t.Fatal(err)
				}
			}
		}
		if corrected == 0 {
			t.Fatalf("%d corrections, %d refused: nothing is tried", corrected, refused)
		}
		days := int(w.Clock.Now().Sub(first).Hours()/24) + 2
		explain := func(from, to int) usage.ExplainResponse {
			t.Helper()
			out, err := w.Explain(customer(t.Context(), "cus_ada"), usage.ExplainRequest{Carrier: key, Meter: "pages", From: first.AddDate(0, 0, from), To: first.AddDate(0, 0, to)})
			if err != nil {
				t.Fatal(err)
			}
			sum := out.Opening
			for _, b := range out.Batches {
				sum.Events, sum.Sum = sum.Events+b.Events, sum.Sum+b.Sum
			}
			for _, c := range out.Corrections {
				if c.Reason != "counted twice" || c.Events > 0 || c.Sum > 0 {
					t.Fatalf("%+v", c)
				}
				sum.Events, sum.Sum = sum.Events+c.Events, sum.Sum+c.Sum
			}
			if sum != out.Closing {
				t.Fatalf("days %d to %d add up to %+v, and close with %+v", from, to, sum, out.Closing)
			}
			return out
		}
		for at := 0; at < days; {
			to := at + 1 + r.IntN(9)
			if a, b := explain(at, to), explain(to, to+1+r.IntN(9)); a.Closing != b.Opening {
				t.Fatalf("day %d closes with %+v and opens with %+v", to, a.Closing, b.Opening)
			}
			at = to
		}
		whole := explain(0, days)
		got, err := w.Query(staff(t.Context()), usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: "pages", From: first.AddDate(0, -3, 0), To: w.Clock.Now().AddDate(0, 0, 1)}, Window: "month"})
		if err != nil {
			t.Fatal(err)
		}
		var counted usage.Balance
		for _, win := range got.Windows {
			counted.Events, counted.Sum = counted.Events+win.Events, counted.Sum+win.Sum
		}
		if counted != whole.Closing || whole.Opening != (usage.Balance{}) || len(whole.Corrections) != corrected {
			t.Fatalf("%+v is counted, the account closes with %+v", counted, whole.Closing)
		}
		if _, err := w.Explain(customer(t.Context(), "cus_eve"), usage.ExplainRequest{Carrier: key, Meter: "pages", From: first, To: first.AddDate(0, 0, 1)}); !errors.Is(err, licensing.ErrNotFound) {
			t.Fatalf("another customer's: %v", err)
		}
	})
}

// Many corrections of the same quarter of an hour at once take back no more than was counted there, and leave every sum exact.
func TestCorrect_NeverMoreThanWasCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx, key := w.key(t, "cus_ada")
		for range 3 { // three sources: the product's sums lie in several shards
			if _, err := w.Count(ctx, w.batch(w.open(t, ctx), 1, 10)); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 12 {
			wg.Go(func() {
				_, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: key, Meter: "pages", At: w.Clock.Now(), Events: 4, Sum: 4, Reason: "r"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if licensing.KindOf(err) != licensing.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done != 7 {
			t.Errorf("%d corrections of 4 were taken from 30", done)
		}
		w.meter(t, "peak", "max")
		for name, r := range map[string]usage.CorrectRequest{"nothing": {}, "no reason": {Events: 1}, "negative": {Events: -1, Reason: "r"}, "the future": {Events: 1, Reason: "r", At: w.Clock.Now().Add(time.Hour)},
			"a highest": {Events: 1, Reason: "r", Meter: "peak"}} {
			r.Carrier = key
			if r.Meter == "" {
				r.Meter = "pages"
			}
			if r.At.IsZero() {
				r.At = w.Clock.Now()
			}
			if _, err := w.Correct(staff(t.Context()), r); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: "key_none", Meter: "pages", At: w.Clock.Now(), Events: 1, Reason: "r"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := w.Correct(machine(t.Context(), "prod_x", ""), usage.CorrectRequest{Carrier: key, Meter: "pages", At: w.Clock.Now(), Events: 1, Reason: "r"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("by another product's token: %v", err)
		}
	})
}

// What was used of a quota is what was counted in the present period: at once on the replica that counted it, within two seconds on
// others, from memory in between, corrections taken off, and nothing of the period before.
func TestQuota_IsWhatWasCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		other := usage.New(w.deps)
		ctx := w.seat(t, "act_1", "held")
		l := &license.License{ID: w.license, ProductID: w.product(t), Terms: license.Terms{Meters: map[string]license.Meter{"pages": {Quota: 100, Period: "month"}}}}
		want := func(s *usage.Service, n int64) {
			t.Helper()
			if got, err := s.Used(t.Context(), l, "pages"); err != nil || got != n {
				t.Errorf("%d are used, want %d (%v)", got, n, err)
			}
			if s != w.Service {
				return
			}
			fresh := usage.New(w.deps) // without memory, several licenses and meters at once
			none := &license.License{ID: w.IDs.New("lic"), ProductID: l.ProductID, Terms: license.Terms{Meters: map[string]license.Meter{"pages": {Period: "term"}, "words": {Period: "day"}}}}
			all, err := fresh.UsedOf(t.Context(), []*license.License{none, l})
			if err != nil || all[l.ID]["pages"] != n || len(all) != 2 || len(all[none.ID]) != 2 || all[none.ID]["pages"]+all[none.ID]["words"] != 0 {
				t.Errorf("all at once: %v, want %d (%v)", all, n, err)
			}
			if got, err := fresh.Used(t.Context(), l, "pages"); err != nil || got != n {
				t.Errorf("%d are remembered, want %d (%v)", got, n, err)
			}
		}
		want(w.Service, 0)
		want(other, 0)
		src := w.open(t, ctx)
		if _, err := w.Count(ctx, w.batch(src, 1, 30)); err != nil {
			t.Fatal(err)
		}
		want(w.Service, 30)
		want(other, 0)
		w.Clock.Advance(2 * time.Second)
		want(other, 30)
		if _, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: w.license, Meter: "pages", At: w.Clock.Now(), Events: 10, Sum: 10, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		want(w.Service, 20)
		w.Clock.Advance(31 * 24 * time.Hour)
		want(w.Service, 0)
		l.Terms.Meters["pages"] = license.Meter{Quota: 100, Period: "term"}
		w.Clock.Advance(2 * time.Second)
		want(w.Service, 20)
	})
}

// The quotas of a license are its owner's to see, with what is used of each; another's answer as those of nothing.
func TestR02_QuotasOfAnother(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.deps.Licenses = terms{w.deps.Licenses}
		s, ctx := usage.New(w.deps), w.seat(t, "act_1", "held")
		if _, err := s.Count(ctx, w.batch(w.open(t, ctx), 1, 30)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Quotas(customer(t.Context(), "cus_ada"), usage.QuotasRequest{License: w.license})
		if err != nil || len(got.Items) != 2 || got.Items[0].Used != 30 || got.Items[0].Quota != 50 || got.Items[0].Starts == nil || got.Items[1].Ends != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Quotas(customer(t.Context(), "cus_eve"), usage.QuotasRequest{License: w.license}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("another customer's: %v", err)
		}
	})
}

// terms are licenses with two quotas.
type terms struct{ usage.Licenses }

func (l terms) Get(ctx context.Context, r license.GetRequest) (license.View, error) {
	v, err := l.Licenses.Get(ctx, r)
	v.Terms.Meters = map[string]license.Meter{"pages": {Quota: 50, Period: "week"}, "renders": {Quota: 5, Period: "term"}}
	return v, err
}
