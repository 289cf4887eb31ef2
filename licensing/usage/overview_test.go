package usage_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// An overview has each license and key of an owner that counted something or has a quota, page by page and once, with the numbers that queries by
// day answer for meters of every kind, and what is used and left of quotas, of such as counted nothing too.
func TestOverview_IsWhatQueriesAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e) // the clock stands at 2026-03-01 12:00
		w.Clock.Advance(10 * 24 * time.Hour)
		w.product(t)
		kinds := []string{"count", "last", "max", "sum", "unique"}
		for _, kind := range kinds {
			w.meter(t, kind, kind)
		}
		one, first := w.key(t, "cus_ada")
		two, second := w.key(t, "cus_ada")
		w.key(t, "cus_ada") // counts nothing
		other, _ := w.key(t, "cus_eve")
		at := func(month time.Month, day, hour int) time.Time {
			return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
		}
		from, to := at(2, 10, 0), at(3, 12, 0) // today is the 11th
		var list []usage.CloudEvent
		for i, on := range []time.Time{at(2, 9, 23), from, at(2, 10, 5), at(2, 28, 1), at(3, 1, 1), at(3, 11, 0), at(3, 11, 11)} {
			list = append(list, event(string(rune('a'+i)), on, []string{"a", "b"}[i%2], map[string]any{"n": float64(3 + i%3)}))
		}
		for _, e := range list {
			if _, err := w.Events(one, usage.EventsRequest{Events: []usage.CloudEvent{e}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, by := range []context.Context{two, other} {
			if _, err := w.Events(by, usage.EventsRequest{Events: list[3:5]}); err != nil {
				t.Fatal(err)
			}
		}
		w.limited(t, map[string]license.Meter{"pages": {Quota: 50, Period: "month"}, "unique": {Quota: 1, Period: "term"}})
		w.counts(t, 60, w.Clock.Now())
		var items []usage.CarrierUsage
		for q := (usage.OverviewRequest{Page: licensing.Page{Limit: 1}}); ; {
			got, err := w.Overview(customer(t.Context(), "cus_ada"), q)
			if err != nil || len(got.Items) != 1 || !got.From.Equal(from) {
				t.Fatalf("%+v, %v", got, err)
			}
			items = append(items, got.Items...)
			if q.Cursor = got.Next; q.Cursor == "" {
				break
			}
		}
		var ids []string
		for _, c := range items {
			ids = append(ids, c.ID)
		}
		if want := []string{w.license, second, first}; !slices.Equal(ids, want) {
			t.Fatalf("%q, want %q", ids, want)
		}
		for _, c := range items[1:] {
			if len(c.Meters) != len(kinds) || c.Name == "" || c.Over {
				t.Errorf("%+v", c)
			}
			for i, m := range c.Meters {
				q, err := w.Query(staff(t.Context()), usage.QueryRequest{Of: usage.Of{Carrier: c.ID, Meter: kinds[i], From: from, To: to}, Window: "day"})
				if err != nil {
					t.Fatal(err)
				}
				want := make([]int64, usage.OverviewDays)
				for _, d := range q.Windows {
					want[int(d.Starts.Sub(from).Hours()/24)] = d.Value
				}
				if m.Meter != kinds[i] || m.Kind != kinds[i] || m.Name != kinds[i] || m.Quota != nil || !slices.Equal(m.Days, want) {
					t.Errorf("%s of %s: %+v, want %d", m.Meter, c.ID, m, want)
				}
			}
		}
		for i, want := range []int64{6, 3, 5, 24, 2} { // of the events from the 10th on: 4 5 3 4 5 3
			if got := items[2].Meters[i].Value; got != want {
				t.Errorf("the number of %s is %d, want %d", kinds[i], got, want)
			}
		}
		quotas := items[0].Meters
		if len(quotas) != 2 || quotas[0].Quota == nil || quotas[0].Quota.Used != 60 || quotas[0].Quota.Left != 0 || !quotas[0].Quota.Ends.Equal(at(4, 1, 0)) ||
			quotas[1].Quota == nil || quotas[1].Quota.Left != 1 || quotas[1].Quota.Ends != nil || quotas[1].Value != 0 {
			t.Errorf("%+v", quotas)
		}
	})
}

// TestR02_OverviewOfAnothers: an owner's usage is for the owner, whoever else he names, for staff, and for a machine token as far as its product
// and environment go; who names nobody and has to is told so.
func TestR02_OverviewOfAnothers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		product := w.product(t)
		w.meter(t, "sum", "sum")
		by, key := w.key(t, "cus_ada")
		if _, err := w.Events(by, usage.EventsRequest{Events: []usage.CloudEvent{event("1", w.Clock.Now(), "", map[string]any{"n": 7.0})}}); err != nil {
			t.Fatal(err)
		}
		ada := usage.OverviewRequest{Owner: "cus_ada"}
		for what, c := range map[string]struct {
			ctx  context.Context
			r    usage.OverviewRequest
			sees bool
		}{
			"its owner":                      {customer(t.Context(), "cus_ada"), usage.OverviewRequest{}, true},
			"its owner, by id":               {customer(t.Context(), "cus_ada"), ada, true},
			"another":                        {customer(t.Context(), "cus_eve"), ada, false},
			"another, of himself":            {customer(t.Context(), "cus_eve"), usage.OverviewRequest{}, false},
			"staff":                          {staff(t.Context()), ada, true},
			"staff, of nobody's":             {staff(t.Context()), usage.OverviewRequest{Owner: "cus_none"}, false},
			"a token":                        {machine(t.Context(), "", ""), ada, true},
			"a token of the product":         {machine(t.Context(), product, licensing.Live), ada, true},
			"a token of another":             {machine(t.Context(), "prod_other", ""), ada, false},
			"a token of another environment": {machine(t.Context(), "", licensing.Test), ada, false},
		} {
			got, err := w.Overview(c.ctx, c.r)
			if err != nil || (len(got.Items) == 1) != c.sees || c.sees && got.Items[0].ID != key {
				t.Errorf("%s: %+v, %v", what, got.Items, err)
			}
		}
		if _, err := w.Overview(staff(t.Context()), usage.OverviewRequest{}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("of whom: %v", err)
		}
	})
}
