package store_test

import (
	"maps"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestQuotas: totals replace each other in the order of their writes, not of their arrival, and add up over processes; what is long
// over is forgotten.
func TestQuotas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		ledger, until := e.Store.Quotas(), e.Clock.Now().Add(time.Hour)
		keep := func(process string, seq int64, used ...limit.Spent) {
			t.Helper()
			if err := ledger.Keep(t.Context(), process, seq, used); err != nil {
				t.Fatal(err)
			}
		}
		read := func(but string, want map[string]int64) {
			t.Helper()
			got, err := ledger.Used(t.Context(), []string{"a", "b", "none"}, but)
			if err != nil || !maps.Equal(got, want) {
				t.Errorf("but %q: %v, %v, want %v", but, got, err, want)
			}
		}
		read("", map[string]int64{})
		keep("p1", 1, limit.Spent{Counter: "a", Used: 3, Until: until}, limit.Spent{Counter: "b", Used: 1, Until: until})
		keep("p2", 1, limit.Spent{Counter: "a", Used: 4, Until: until})
		keep("p1", 3, limit.Spent{Counter: "a", Used: 9, Until: until})
		keep("p1", 2, limit.Spent{Counter: "a", Used: 5, Until: until}) // comes late
		keep("p1", 3, limit.Spent{Counter: "a", Used: 9, Until: until}) // comes twice
		read("", map[string]int64{"a": 13, "b": 1})
		read("p1", map[string]int64{"a": 4})
		if n, err := e.Store.PurgeQuotas(t.Context(), until); n != 0 || err != nil {
			t.Errorf("%d forgotten too early, %v", n, err)
		}
		if n, err := e.Store.PurgeQuotas(t.Context(), until.Add(time.Second)); n != 3 || err != nil {
			t.Errorf("%d forgotten, %v", n, err)
		}
		read("", map[string]int64{})
	})
}
