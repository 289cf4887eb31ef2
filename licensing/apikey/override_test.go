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

// TestLimitsOverridden_Alone: what is changed holds for the key alone: it is refused as one that is counted together with other keys, which
// stays as it is or goes.
func TestLimitsOverridden_Alone(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	plan := apikey.Limit{Name: "plan", Per: apikey.PerPlan, Count: 2, Seconds: 3600}
	id, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{plan} })
	_, other := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{plan} })
	set := func(limits ...apikey.Limit) error {
		_, err := r.SetLimits(as(t, admin), apikey.LimitsRequest{ID: id, Limits: limits, Reason: "r"})
		return err
	}
	more := plan
	more.Count = 1000
	for what, l := range map[string]apikey.Limit{"more for the plan": more, "one for the owner": {Name: "x", Per: apikey.PerOwner, Count: 5, Seconds: 60}} {
		if err := set(l); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := set(plan, apikey.Limit{Name: "mine", Count: 50, Seconds: 60}); err != nil {
		t.Fatal(err)
	}
	expect(t, "the first of the plan's", r.code(t, text), apikey.Valid)
	expect(t, "the second, by another key", r.code(t, other), apikey.Valid)
	expect(t, "the plan's is kept", r.code(t, text), apikey.RateLimited)
	more.Per = apikey.PerKey
	if err := set(more); err != nil {
		t.Fatal(err)
	}
	expect(t, "the key's own", r.code(t, text), apikey.Valid)
	expect(t, "the other's is the plan's still", r.code(t, other), apikey.RateLimited)
}
