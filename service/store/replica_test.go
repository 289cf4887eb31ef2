package store_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestReplicaBeat: replicas count each other while they are seen, and not any longer.
func TestReplicaBeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		now := e.Clock.Now()
		beat := func(id string, at time.Time) int64 {
			n, err := e.Store.ReplicaBeat(t.Context(), id, at, at.Add(-10*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := beat("rep_a", now); n != 1 {
			t.Errorf("alone: %d", n)
		}
		if n := beat("rep_b", now.Add(5*time.Second)); n != 2 {
			t.Errorf("with a second: %d", n)
		}
		if n := beat("rep_b", now.Add(11*time.Second)); n != 1 {
			t.Errorf("after the first fell silent: %d", n)
		}
		if n := beat("rep_b", now.Add(2*time.Hour)); n != 1 {
			t.Errorf("much later: %d", n)
		}
	})
}
