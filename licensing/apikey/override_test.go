package apikey_test

import (
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestLimitsOverridden: staff replace the limits of a key with a reason, which the trail keeps beside what they were; a refusal of a moment ago
// no longer holds, on this replica and by the feed on another; what makes no limit, has no reason or is of a revoked key changes nothing.
func TestLimitsOverridden(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		id, text := one.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 3600}} })
		staff := as(t, admin)
		for _, r := range []*rig{one, two} {
			expect(t, "the first", r.code(t, text), apikey.Valid)
			expect(t, "the second", r.code(t, text), apikey.RateLimited)
		}
		set := func(limits []apikey.Limit, reason string) error {
			_, err := one.SetLimits(staff, apikey.LimitsRequest{ID: id, Limits: limits, Reason: reason})
			return err
		}
		more := []apikey.Limit{{Name: "wide", Count: 3, Seconds: 3600}}
		for what, err := range map[string]error{"no reason": set(more, ""), "no limit": set([]apikey.Limit{{Name: "x"}}, "r"), "twice": set(append(more, more...), "r")} {
			if licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		expect(t, "after what was refused", one.code(t, text), apikey.RateLimited)
		if err := set(more, "a promise by phone"); err != nil {
			t.Fatal(err)
		}
		two.poll(t)
		for _, r := range []*rig{one, two} {
			for range 3 {
				expect(t, "by the new limit", r.code(t, text), apikey.Valid)
			}
			expect(t, "beyond it", r.code(t, text), apikey.RateLimited)
		}
		rows, err := e.DB.Query(t.Context(), `SELECT reason || ' ' || detail FROM audit WHERE action = 'key.limits' AND target = $1`, id)
		kept, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
		if err != nil || len(kept) != 1 || !strings.Contains(kept[0], "a promise by phone") || !strings.Contains(kept[0], `"calls"`) || !strings.Contains(kept[0], `"wide"`) {
			t.Errorf("%q, %v", kept, err)
		}
		if err := set(nil, "none at all"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			expect(t, "without limits", one.code(t, text), apikey.Valid)
		}
		if _, err := one.Revoke(staff, apikey.RevokeRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		fails(t, "of a revoked key", set(more, "r"), apikey.ErrNotLive)
		_, err = one.SetLimits(as(t, licensing.Actor{Kind: licensing.Machine, Product: "prd_b"}), apikey.LimitsRequest{ID: id, Limits: more, Reason: "r"})
		fails(t, "by a token of another product", err, licensing.ErrNotFound)
	})
}
