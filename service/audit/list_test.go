package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// The trail is narrowed by who, what, to what and when, page by page, and the ends of a span of time are exact.
func TestListNarrows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		s := audit.NewService(audit.ServiceDeps{Store: e.Store.Audit()})
		var at []time.Time
		for i := range 6 {
			at = append(at, e.Clock.Now())
			ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Staff, ID: []string{"cus_a", "cus_b"}[i%2]}})
			if err := e.Store.InTx(ctx, func(ctx context.Context) error {
				return r.recorder.Record(ctx, licensing.Event{Action: []string{"thing.make", "thing.change", "thing.end"}[i%3], Target: "thg_1"})
			}); err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(time.Hour)
		}
		for name, c := range map[string]struct {
			r    audit.ListRequest
			want int
		}{
			"all": {audit.ListRequest{}, 6}, "actor": {audit.ListRequest{Actor: "staff:cus_a"}, 3}, "action": {audit.ListRequest{Action: "thing.end"}, 2},
			"since": {audit.ListRequest{Since: at[4]}, 2}, "just after": {audit.ListRequest{Since: at[4].Add(time.Microsecond)}, 1}, "until": {audit.ListRequest{Until: at[2]}, 2},
			"between": {audit.ListRequest{Since: at[1], Until: at[5]}, 4}, "both": {audit.ListRequest{Since: at[1], Until: at[5], Actor: "staff:cus_b"}, 2},
			"too late": {audit.ListRequest{Since: at[5].Add(time.Minute)}, 0}, "too early": {audit.ListRequest{Until: at[0]}, 0},
		} {
			got, last := 0, ""
			for c.r.Limit = 2; ; {
				page, err := s.List(t.Context(), c.r)
				if err != nil {
					t.Fatal(name, err)
				}
				for _, v := range page.Items {
					if got++; last != "" && v.ID >= last {
						t.Errorf("%s: %s comes after %s", name, v.ID, last)
					}
					last = v.ID
				}
				if c.r.Cursor = page.Next; c.r.Cursor == "" {
					break
				}
			}
			if got != c.want {
				t.Errorf("%s: %d rows, want %d", name, got, c.want)
			}
		}
	})
}
