package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// plan makes a product with a plan and its template, sells one key of it to cus_a, and returns the key's id and text.
func (r *rig) plan(t *testing.T, req apikey.PutTemplateRequest) (id, text string) {
	t.Helper()
	now := r.Clock.Now()
	for _, st := range []db.Statement{
		{SQL: `INSERT INTO product (id, slug, name, description, purpose, key_prefix, state, version, created_at, updated_at) VALUES ('prd_a', 'a', 'A', '', 'revenue', 'AAAA', 'active', 1, $1, $1)`, Args: []any{now}},
		{SQL: `INSERT INTO plan (id, product_id, code, name, description, type, state, grants, version, created_at, updated_at) VALUES ('pln_a', 'prd_a', 'pro', 'Pro', '', 'perpetual', 'active', '[]', 1, $1, $1)`, Args: []any{now}},
	} {
		if _, err := r.DB.Exec(t.Context(), st.SQL, st.Args...); err != nil {
			t.Fatal(err)
		}
	}
	req.ID = "pln_a"
	if _, err := r.PutTemplate(as(t, admin), req); err != nil {
		t.Fatal(err)
	}
	d, err := r.Draft(t.Context(), apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromOrderUnit, ID: "line/1/1"}, Owner: "cus_a", ProductID: "prd_a", PlanID: "pln_a", PlanCode: "pro", Env: licensing.Live})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Store.InTx(licensing.AsSystem(t.Context(), "fulfil"), func(ctx context.Context) error {
		_, err := r.Issue(ctx, d)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.Key.ID, d.Text.Full
}

// TestOwnKeys: an owner of a plan makes keys by its template: with its limits and credits besides his own, within its scopes and its time,
// and nobody else makes any; what a payment does to the key bought it does to these.
func TestOwnKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		base, _ := r.plan(t, apikey.PutTemplateRequest{Scopes: []string{"docs:read"}, Limits: []apikey.Limit{{Name: "plan", Per: apikey.PerPlan, Count: 5, Seconds: 3600}},
			Credits: &apikey.CreditsSpec{Balance: 7}, Days: 30, Most: 2, OnLeak: apikey.RotateOnLeak})
		owner := as(t, customer("cus_a"))
		good := apikey.CreateRequest{Plan: "pln_a", Name: "ci", Scopes: []string{"docs:read"}, Limits: []apikey.Limit{{Name: "mine", Count: 20, Seconds: 60}}, Metadata: map[string]string{"team": "blue"}}
		out, err := r.Create(owner, good)
		if err != nil {
			t.Fatal(err)
		}
		k := out.Key
		if k.Owner != "cus_a" || k.Product != "prd_a" || k.Parent != base || len(k.Limits) != 2 || k.OnLeak != apikey.RotateOnLeak || k.Metadata["team"] != "blue" || !k.ExpiresAt.Equal(e.Clock.Now().Add(30*24*time.Hour)) {
			t.Errorf("%+v", k)
		}
		if got := r.verify(t, apikey.VerifyCheck{Key: out.Secret}); got.Code != apikey.Valid || got.Credits.Remaining != 6 || got.Plan != "pro" {
			t.Errorf("%+v", got)
		}
		for what, c := range map[string]struct {
			who    licensing.Actor
			change func(*apikey.CreateRequest)
		}{
			"scopes beyond the plan": {customer("cus_a"), func(c *apikey.CreateRequest) { c.Scopes = []string{"docs:write"} }},
			"a limit of the plan's":  {customer("cus_a"), func(c *apikey.CreateRequest) { c.Limits[0].Name = "plan" }},
			"one for all his keys":   {customer("cus_a"), func(c *apikey.CreateRequest) { c.Limits[0].Per = apikey.PerOwner }},
			"one for the plan":       {customer("cus_a"), func(c *apikey.CreateRequest) { c.Limits[0].Per = apikey.PerPlan }},
			"one for a member":       {customer("cus_a"), func(c *apikey.CreateRequest) { c.Limits[0].Per = apikey.PerMember }},
			"somebody else's owner":  {customer("cus_a"), func(c *apikey.CreateRequest) { c.Owner = "cus_b" }},
			"credits":                {customer("cus_a"), func(c *apikey.CreateRequest) { c.Credits = &apikey.CreditsSpec{Balance: 1000} }},
			"test instead of live":   {customer("cus_a"), func(c *apikey.CreateRequest) { c.Env = licensing.Test }},
			"another plan":           {customer("cus_a"), func(c *apikey.CreateRequest) { c.Plan = "pln_b" }},
			"who has not bought":     {customer("cus_b"), func(*apikey.CreateRequest) {}},
		} {
			req := good
			req.Limits = []apikey.Limit{{Name: "mine", Count: 20, Seconds: 60}}
			c.change(&req)
			if _, err := r.Create(as(t, c.who), req); licensing.KindOf(err) != licensing.Forbidden && licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		list, err := r.Options(owner, struct{}{})
		if err != nil || len(list.Items) != 1 || list.Items[0].Left != 1 || list.Items[0].Name != "A pro" {
			t.Errorf("%+v, %v", list, err)
		}
		system := licensing.WithCall(t.Context(), &licensing.Call{Operation: "checkout.fulfil", Actor: licensing.Actor{Kind: licensing.System, ID: "checkout.fulfil"}})
		if _, err := r.Dispute(system, apikey.RevokeRequest{ID: base, Reason: "dispute"}); err != nil {
			t.Fatal(err)
		}
		expect(t, "held with the key bought", r.code(t, out.Secret), apikey.SwitchedOff)
		_, err = r.Enable(owner, apikey.RevokeRequest{ID: k.ID})
		fails(t, "the owner releases what the shop holds", err, apikey.ErrHeld)
		if _, err := r.Create(owner, good); licensing.KindOf(err) != licensing.Forbidden {
			t.Errorf("a key by a plan that is held: %v", err)
		}
		if _, err := r.EndDispute(system, apikey.RevokeRequest{ID: base}); err != nil {
			t.Fatal(err)
		}
		expect(t, "released", r.code(t, out.Secret), apikey.Valid)
		if _, err := r.Revoke(owner, apikey.RevokeRequest{ID: base}); err != nil {
			t.Fatal(err)
		}
		expect(t, "the owner revokes the key bought alone", r.code(t, out.Secret), apikey.Valid)
		if _, err := r.Revoke(system, apikey.RevokeRequest{ID: base, Reason: "refund"}); err != nil {
			t.Fatal(err)
		}
		expect(t, "refunded", r.code(t, out.Secret), apikey.IsRevoked)
	})
}

// naive is a TemplateStore that counts before the lock: all callers have counted before the first one makes a key.
type naive struct {
	apikey.TemplateStore
	counted *sync.WaitGroup
	owner   licensing.Owner
	now     time.Time
	made    sync.Map // plan -> int64
}

func (n *naive) Template(ctx context.Context, plan string) (apikey.Template, error) {
	bases, err := n.Bases(ctx, n.owner, n.now)
	if err == nil && len(bases) == 1 {
		n.made.Store(plan, bases[0].Made)
	}
	n.counted.Done()
	n.counted.Wait()
	return n.TemplateStore.Template(ctx, plan)
}

func (n *naive) HoldBase(ctx context.Context, owner licensing.Owner, plan string, env licensing.Env, now time.Time) (apikey.Base, error) {
	b, err := n.TemplateStore.HoldBase(ctx, owner, plan, env, now)
	made, _ := n.made.Load(plan)
	b.Made, _ = made.(int64)
	return b, err
}

// FreePlace has room for every key.
func (n *naive) FreePlace(context.Context, string, int64, time.Time) (apikey.Place, error) {
	return apikey.Place{}, nil
}

// TestOwnKeysNeverExceedThePlan: of many keys asked for at once, on two replicas, exactly as many are made as the plan allows. Counting
// without the lock lets more through, and this test sees it.
func TestOwnKeysNeverExceedThePlan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		one.plan(t, apikey.PutTemplateRequest{Most: 3})
		if made := makeMany(t, one, two); made != 3 {
			t.Errorf("%d keys were made, the plan allows 3", made)
		}
	})
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		one.plan(t, apikey.PutTemplateRequest{Most: 3})
		var counted sync.WaitGroup
		counted.Add(16)
		for _, r := range []*rig{one, two} {
			r.Templates = &naive{TemplateStore: r.Templates, counted: &counted, owner: "cus_a", now: e.Clock.Now()}
		}
		if made := makeMany(t, one, two); made <= 3 {
			t.Errorf("counting before the lock made %d keys, so that this test shows nothing", made)
		}
	})
}

// makeMany asks for 16 keys at once, half of them on each replica, and returns how many were made.
func makeMany(t *testing.T, one, two *rig) int {
	t.Helper()
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for i := range 16 {
		r := []*rig{one, two}[i%2]
		wg.Go(func() {
			_, err := r.Create(as(t, customer("cus_a")), apikey.CreateRequest{Plan: "pln_a", Name: fmt.Sprint(i)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !errors.Is(err, apikey.ErrKeysUsedUp) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return made
}

// TestHeldByTheShop: what staff stop is answered SWITCHED_OFF and stays stopped whatever its owner does; what the owner disabled stays so
// when staff release it.
func TestHeldByTheShop(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, nil)
		owner, staff, req := as(t, customer("cus_a")), as(t, admin), apikey.RevokeRequest{ID: id, Reason: "abuse"}
		step := func(what string, do func(context.Context, apikey.RevokeRequest) (apikey.RevokeResponse, error), ctx context.Context, want apikey.Code) {
			t.Helper()
			if _, err := do(ctx, req); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			expect(t, what, r.code(t, text), want)
		}
		step("owner disables", r.Disable, owner, apikey.IsDisabled)
		step("staff hold", r.Disable, staff, apikey.SwitchedOff)
		_, err := r.Enable(owner, req)
		fails(t, "owner enables", err, apikey.ErrHeld)
		expect(t, "after that", r.code(t, text), apikey.SwitchedOff)
		step("staff release", r.Enable, staff, apikey.IsDisabled)
		step("owner enables", r.Enable, owner, apikey.Valid)
		step("owner disables again", r.Disable, owner, apikey.IsDisabled)
		_, err = r.Enable(staff, req)
		fails(t, "staff enable what only the owner disabled", err, apikey.ErrNotHeld)
		expect(t, "after that", r.code(t, text), apikey.IsDisabled)
	})
}

// TestStopsAreApart: the owner's disable, the hold of staff, a dispute of the payment and whatever stops the key that was bought each stop a
// key until that one ends, in every order: the end of one never lifts another, also of a key that was made by the plan.
func TestStopsAreApart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		base, text := r.plan(t, apikey.PutTemplateRequest{Most: 1})
		owner, staff, system := as(t, customer("cus_a")), as(t, admin), as(t, licensing.Actor{Kind: licensing.System, ID: "checkout.fulfil"})
		made, err := r.Create(owner, apikey.CreateRequest{Plan: "pln_a", Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		do := func(f func(context.Context, apikey.RevokeRequest) (apikey.RevokeResponse, error), ctx context.Context, id string) func() {
			return func() {
				if _, err := f(ctx, apikey.RevokeRequest{ID: id}); err != nil {
					t.Error(err)
				}
			}
		}
		type hand struct{ stop, release func() }
		all := []hand{
			{do(r.Dispute, system, base), do(r.EndDispute, system, base)}, {do(r.Disable, staff, base), do(r.Enable, staff, base)},
			{do(r.Disable, staff, made.Key.ID), do(r.Enable, staff, made.Key.ID)},
		}
		onBase := []bool{true, true, false}
		for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			for _, h := range all {
				h.stop()
			}
			left := 0
			for _, b := range onBase {
				if b {
					left++
				}
			}
			for n, i := range order {
				wantBase := apikey.SwitchedOff
				if left == 0 {
					wantBase = apikey.Valid
				}
				expect(t, fmt.Sprint(order, n, " bought"), r.code(t, text), wantBase)
				expect(t, fmt.Sprint(order, n, " made"), r.code(t, made.Secret), apikey.SwitchedOff)
				if all[i].release(); onBase[i] {
					left--
				}
			}
			expect(t, fmt.Sprint(order, " bought, released"), r.code(t, text), apikey.Valid)
			expect(t, fmt.Sprint(order, " made, released"), r.code(t, made.Secret), apikey.Valid)
		}
		// A second replica, which has the key made in its cache, learns of the dispute of the one bought by the feed.
		two := newRig(t, e)
		expect(t, "on another replica", two.code(t, made.Secret), apikey.Valid)
		do(r.Disable, owner, base)()
		do(r.Revoke, owner, base)()
		do(r.Dispute, system, base)()
		two.poll(t)
		expect(t, "with the key bought, revoked by its owner and then disputed", two.code(t, made.Secret), apikey.SwitchedOff)
		_, err = r.Enable(staff, apikey.RevokeRequest{ID: made.Key.ID})
		fails(t, "staff enable what a dispute stops", err, apikey.ErrNotHeld)
		do(r.EndDispute, system, base)()
		two.poll(t)
		expect(t, "after the dispute", two.code(t, made.Secret), apikey.Valid)
	})
}

// TestLeaks: a key that is found is revoked, or its found text ends after a day while its owner takes a new one; an old text harms nothing,
// and only staff and machine tokens of its product learn more than that the report came in.
func TestLeaks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		told := 0
		r.Leaked = func(context.Context, apikey.Key, time.Time) error { told++; return nil }
		anybody := as(t, licensing.Actor{Kind: licensing.Anonymous})
		report := func(ctx context.Context, text string) apikey.LeakResponse {
			t.Helper()
			out, err := r.Leak(ctx, apikey.LeakRequest{Key: text})
			if err != nil || !out.Accepted {
				t.Fatalf("%+v, %v", out, err)
			}
			return out
		}
		_, text := r.issue(t, nil)
		if out := report(anybody, text); out != (apikey.LeakResponse{Accepted: true}) {
			t.Errorf("an anonymous reporter learns %+v", out)
		}
		expect(t, "revoked", r.code(t, text), apikey.IsRevoked)
		unknown, _ := r.Format().New(licensing.Live, nil)
		for what, text := range map[string]string{"again": text, "unknown": unknown.Full, "garbage": "x"} {
			if out := report(anybody, text); out != (apikey.LeakResponse{Accepted: true}) {
				t.Errorf("%s: %+v", what, out)
			}
		}
		id, old := r.issue(t, func(c *apikey.CreateRequest) { c.OnLeak = apikey.RotateOnLeak })
		out := report(as(t, machine), old)
		if out.KeyID != id || out.Action != "ending" || !out.EndsAt.Equal(e.Clock.Now().Add(24*time.Hour)) {
			t.Fatalf("%+v", out)
		}
		expect(t, "in its last day", r.code(t, old), apikey.Valid)
		fresh, err := r.Rotate(as(t, customer("cus_a")), apikey.RotateRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(24 * time.Hour)
		r.poll(t)
		expect(t, "after it", r.code(t, old), apikey.IsExpired)
		if out := report(as(t, admin), old); out.Action != "none" {
			t.Errorf("an old text: %+v", out)
		}
		expect(t, "the new text", r.code(t, fresh.Secret), apikey.Valid)
		if out := report(as(t, licensing.Actor{Kind: licensing.Machine, Product: "prd_b"}), fresh.Secret); out.KeyID != "" {
			t.Errorf("a machine token of another product learns %+v", out)
		}
		if told != 3 {
			t.Errorf("owners were told %d times, want 3", told)
		}
	})
}

// TestA10_NoOverlapEndsEveryOldText: whoever rotates without an overlap, because a text leaked, is left with the new one alone, also where an earlier
// rotation's overlap lasts; and a text that ends because it was found in public keeps nobody from taking a new one.
func TestA10_NoOverlapEndsEveryOldText(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		owner := as(t, customer("cus_a"))
		rotate := func(id string, overlap int64) (string, error) {
			e.Clock.Advance(time.Second)
			out, err := r.Rotate(owner, apikey.RotateRequest{ID: id, Overlap: &overlap})
			r.poll(t)
			return out.Secret, err
		}
		must := func(text string, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		id, first := r.issue(t, nil)
		second := must(rotate(id, 30*24*3600))
		_, err := rotate(id, 3600)
		fails(t, "a third text beside two", err, apikey.ErrTwoSecrets)
		e.Clock.Advance(2 * time.Hour)
		r.poll(t)
		expect(t, "the first text after what was refused", r.code(t, first), apikey.Valid)
		third := must(rotate(id, 0))
		for name, text := range map[string]string{"first": first, "second": second} {
			expect(t, name, r.code(t, text), apikey.IsExpired)
		}
		expect(t, "third", r.code(t, third), apikey.Valid)

		id, first = r.issue(t, func(c *apikey.CreateRequest) { c.OnLeak = apikey.RotateOnLeak })
		second = must(rotate(id, 30*24*3600))
		if _, err := r.Leak(as(t, licensing.Actor{Kind: licensing.Anonymous}), apikey.LeakRequest{Key: second}); err != nil {
			t.Fatal(err)
		}
		third = must(rotate(id, 0))
		expect(t, "what was found in public", r.code(t, second), apikey.IsExpired)
		expect(t, "what was rotated before", r.code(t, first), apikey.IsExpired)
		expect(t, "the new one", r.code(t, third), apikey.Valid)
		if _, err := r.Leak(as(t, licensing.Actor{Kind: licensing.Anonymous}), apikey.LeakRequest{Key: third}); err != nil {
			t.Fatal(err)
		}
		must(rotate(id, 30*24*3600))
		e.Clock.Advance(24 * time.Hour)
		r.poll(t)
		expect(t, "a text found in public, a day later, whatever the overlap", r.code(t, third), apikey.IsExpired)
	})
}

// TestMembersHaveTheirOwnLimit: a limit per member is one for all keys of a member, and apart from that of another.
func TestMembersHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	of := func(member string) string {
		_, text := r.issue(t, func(c *apikey.CreateRequest) {
			c.Owner, c.Member, c.Limits = "org_a", member, []apikey.Limit{{Name: "calls", Per: apikey.PerMember, Count: 1, Seconds: 60}}
		})
		return text
	}
	expect(t, "ada", r.code(t, of("cus_ada")), apikey.Valid)
	expect(t, "ada by another key", r.code(t, of("cus_ada")), apikey.RateLimited)
	expect(t, "bob", r.code(t, of("cus_bob")), apikey.Valid)
}
