package usage_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A glance names each meter that counted something, of every kind, with the numbers that a query by month answers: of a key, a license and
// the whole product, whose sums lie in many rows.
func TestGlance_IsWhatQueriesAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e) // the clock stands at 2026-03-01 12:00
		w.Clock.Advance(48 * time.Hour)
		product := w.product(t)
		kinds := []string{"count", "last", "max", "sum", "unique"}
		for _, kind := range kinds {
			w.meter(t, kind, kind)
		}
		one, key := w.key(t, "cus_ada")
		two, second := w.key(t, "cus_ada")
		at := func(month time.Month, day, hour int) time.Time {
			return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
		}
		list := []usage.CloudEvent{
			event("1", at(3, 2, 1), "a", map[string]any{"n": 5.0, "region": "eu"}), event("2", at(3, 1, 23), "a", map[string]any{"n": 9.0}),
			event("3", at(2, 10, 2), "b", map[string]any{"n": 5.0, "region": "eu"}), event("4", at(1, 11, 0), "b", map[string]any{"n": 50.0}),
		}
		if _, err := w.Events(one, usage.EventsRequest{Events: list}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Events(two, usage.EventsRequest{Events: []usage.CloudEvent{event("1", at(3, 2, 2), "", map[string]any{"n": 7.0}), event("2", at(2, 2, 2), "", map[string]any{"n": 5.0})}}); err != nil {
			t.Fatal(err)
		}
		ask := staff(t.Context())
		for name, r := range map[string]usage.GlanceRequest{"a key": {Carrier: key}, "another": {Carrier: second}, "the product": {Product: product}} {
			got, err := w.Glance(ask, r)
			if err != nil || len(got.Items) != len(kinds) || !got.Since.Equal(at(3, 1, 0)) || got.Product != product {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
			for i, g := range got.Items {
				q, err := w.Query(ask, usage.QueryRequest{Of: usage.Of{Carrier: r.Carrier, Product: r.Product, Meter: kinds[i], From: at(2, 1, 0), To: at(4, 1, 0)}, Window: "month"})
				if err != nil || len(q.Windows) != 2 {
					t.Fatalf("%s: %+v, %v", name, q, err)
				}
				if g.Meter != kinds[i] || g.Kind != kinds[i] || g.Name != kinds[i] || g.Before != q.Windows[0].Value || g.Month != q.Windows[1].Value || g.Quota != nil {
					t.Errorf("%s: %+v, a query answers %d and %d", name, g, q.Windows[0].Value, q.Windows[1].Value)
				}
			}
		}
		if got, err := w.Glance(ask, usage.GlanceRequest{Product: product, Env: "test"}); err != nil || len(got.Items) != len(kinds) || got.Items[0].Month != 0 {
			t.Errorf("of another environment: %+v, %v", got, err)
		}
	})
}

// A license's glance has its quotas with what is used of each, of meters of any kind and also of such as counted nothing, and is its
// owner's alone to see.
func TestR02_GlanceAtAnothers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.deps.Licenses = terms{w.deps.Licenses}
		s, ctx := usage.New(w.deps), w.seat(t, "act_1", "held")
		if _, err := s.Count(ctx, w.batch(w.open(t, ctx), 1, 30)); err != nil {
			t.Fatal(err)
		}
		_, key := w.key(t, "cus_ada")
		got, err := s.Glance(customer(t.Context(), "cus_ada"), usage.GlanceRequest{Carrier: w.license})
		if err != nil || len(got.Items) != 2 || got.Items[0].Quota.Used != 30 || got.Items[0].Quota.Quota != 50 || got.Items[0].Month != 30 || got.Items[1].Quota == nil || got.Items[1].Month != 0 || len(got.Items[1].Quota.Thresholds) == 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := s.Glance(customer(t.Context(), "cus_ada"), usage.GlanceRequest{Carrier: key}); err != nil || len(got.Items) != 0 {
			t.Errorf("of a key that counted nothing: %+v, %v", got, err)
		}
		for _, r := range []usage.GlanceRequest{{Carrier: w.license}, {Carrier: key}, {Product: w.product(t)}} {
			if _, err := s.Glance(customer(t.Context(), "cus_eve"), r); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("%+v of another customer's: %v", r, err)
			}
		}
		for _, r := range []usage.GlanceRequest{{}, {Carrier: key, Product: w.product(t)}} {
			if _, err := s.Glance(staff(t.Context()), r); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
}

// The answers have a second form, a table for spreadsheets.
func TestQuery_AsTable(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	q := usage.QueryResponse{Zone: "Asia/Kathmandu", Windows: []usage.Window{{Starts: at, Ends: at.Add(time.Hour), Value: 3, Events: 2, Sum: 3, Max: 2, Late: 1}}}
	if got, want := table(t, q.CSV), "starts,ends,value,events,sum,max,late\n2026-03-01T05:45:00+05:45,2026-03-01T06:45:00+05:45,3,2,3,2,1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	top := usage.TopResponse{Items: []usage.Consumer{{Name: "-1", Value: 3, Events: 2, Sum: 3, Max: 2}, {Name: "a", Value: 1, Events: 1, Sum: 1, Max: 1}}}
	if got, want := table(t, top.CSV), "name,value,events,sum,max\n-1,3,2,3,2\na,1,1,1,1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func table(t *testing.T, rows func() [][]string) string {
	t.Helper()
	var out []string
	for _, row := range rows() {
		out = append(out, strings.Join(row, ","))
	}
	return strings.Join(out, "\n") + "\n"
}
