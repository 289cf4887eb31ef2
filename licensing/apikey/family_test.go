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
	"github.com/mintreu/mintreu/service/store/storetest"
)

// sell sells one more key of the plan of [rig.plan] to cus_a, which ends at an instant or, when that is zero, never.
func (r *rig) sell(t *testing.T, unit string, until time.Time) (id, text string) {
	t.Helper()
	d, err := r.Draft(t.Context(), apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromOrderUnit, ID: unit}, Owner: "cus_a", ProductID: "prd_a", PlanID: "pln_a", PlanCode: "pro", Env: licensing.Live, ExpiresAt: until})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store.InTx(asFulfil(t), func(ctx context.Context) error {
		_, err := r.Issue(ctx, d)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d.Key.ID, d.Text.Full
}

// own makes a key of the plan as cus_a.
func (r *rig) own(t *testing.T, name string) apikey.CreateResponse {
	t.Helper()
	out, err := r.Create(as(t, customer("cus_a")), apikey.CreateRequest{Plan: "pln_a", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asFulfil(t *testing.T) context.Context {
	return as(t, licensing.Actor{Kind: licensing.System, ID: "checkout.fulfil"})
}

// parent is the key that another one is under.
func (r *rig) parent(t *testing.T, id string) string {
	t.Helper()
	k, err := r.Get(as(t, admin), apikey.GetRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return k.Parent
}

// TestKeysGoOnUnderAnotherPurchase: what an owner made by a plan that he bought twice is good as long as one of the purchases is, whatever ends or
// stops the other, and in whatever order they stop and go on; each move is in the trail of the key, and other replicas learn of it. What the
// plan allows holds over both. Only with the last one it stops, or ends.
func TestKeysGoOnUnderAnotherPurchase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		a, _ := r.plan(t, apikey.PutTemplateRequest{Most: 2})
		b, _ := r.sell(t, "line/2/1", time.Time{})
		made := []apikey.CreateResponse{r.own(t, "ci"), r.own(t, "cd")}
		owner, staff, system := as(t, customer("cus_a")), as(t, admin), asFulfil(t)
		good := func(what string, want apikey.Code, under string) {
			t.Helper()
			r.poll(t)
			two.poll(t)
			for _, k := range made {
				expect(t, what, r.code(t, k.Secret), want)
				expect(t, what+", on another replica", two.code(t, k.Secret), want)
				if got := r.parent(t, k.Key.ID); got != under {
					t.Errorf("%s: it is under %s, want %s", what, got, under)
				}
			}
			_, err := r.Create(owner, apikey.CreateRequest{Plan: "pln_a", Name: "more"})
			if want == apikey.Valid {
				fails(t, what+": one more than the plan allows", err, apikey.ErrKeysUsedUp)
			} else if licensing.KindOf(err) != licensing.Forbidden {
				t.Errorf("%s: a key by a plan that is stopped: %v", what, err)
			}
		}
		do := func(what string, f func(context.Context, apikey.RevokeRequest) (apikey.RevokeResponse, error), ctx context.Context, id string, want apikey.Code, under string) {
			t.Helper()
			if _, err := f(ctx, apikey.RevokeRequest{ID: id, Reason: what}); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			good(what, want, under)
		}
		good("made", apikey.Valid, a)
		do("the first is disputed", r.Dispute, system, a, apikey.Valid, b)
		do("the dispute ends", r.EndDispute, system, a, apikey.Valid, b)
		do("the second is disputed", r.Dispute, system, b, apikey.Valid, a)
		do("staff stop the first too", r.Disable, staff, a, apikey.SwitchedOff, a)
		do("the dispute of the second ends", r.EndDispute, system, b, apikey.Valid, b)
		do("staff let the first go on", r.Enable, staff, a, apikey.Valid, b)
		do("both disputed, the second", r.Dispute, system, b, apikey.Valid, a)
		do("both disputed, the first", r.Dispute, system, a, apikey.SwitchedOff, a)
		c, _ := r.sell(t, "line/3/1", time.Time{})
		good("bought once more", apikey.Valid, c)
		do("that is refunded, and the others are only stopped", r.Revoke, system, c, apikey.SwitchedOff, a)
		do("the second goes on", r.EndDispute, system, b, apikey.Valid, b)
		do("the dispute of the first is lost", r.Revoke, system, a, apikey.Valid, b)
		if _, err := r.Revoke(owner, apikey.RevokeRequest{ID: b}); err != nil {
			t.Fatal(err)
		}
		expect(t, "the owner himself revokes what he bought", r.code(t, made[0].Secret), apikey.Valid)
		d, _ := r.sell(t, "line/4/1", time.Time{})
		good("bought a fourth time", apikey.Valid, b)
		do("the one that its owner revoked is refunded", r.Revoke, system, b, apikey.Valid, d)
		do("the last is refunded", r.Revoke, system, d, apikey.IsRevoked, d)
		r.sell(t, "line/5/1", time.Time{})
		expect(t, "what ended stays so, whatever is bought", r.code(t, made[0].Secret), apikey.IsRevoked)
		r.own(t, "anew")

		var rows, children int
		if err := r.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit WHERE action = 'key.rehome' AND target = $1`, made[0].Key.ID).Scan(&rows); err != nil || rows != 8 {
			t.Errorf("%d moves of a key in the trail, want 8 (%v)", rows, err)
		}
		if err := r.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit WHERE action = 'key.revoke' AND detail LIKE '%"children"%'`).Scan(&children); err != nil || children != 1 {
			t.Errorf("%d refunds ended keys made by the plan, want the last alone (%v)", children, err)
		}
	})
}

// TestKeysLastAsLongAsAPurchase: a key made by a plan ends with the key bought that it is under, and no sooner than the one that lasts the longest:
// it goes back under that one when it can, also when the other has ended meanwhile.
func TestKeysLastAsLongAsAPurchase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		a, _ := r.plan(t, apikey.PutTemplateRequest{Most: 1})
		until := e.Clock.Now().Add(10 * 24 * time.Hour)
		b, _ := r.sell(t, "line/2/1", until)
		k := r.own(t, "ci")
		system := asFulfil(t)
		state := func(what string, want apikey.Code, under string, ends time.Time) {
			t.Helper()
			r.poll(t)
			expect(t, what, r.code(t, k.Secret), want)
			v, err := r.Get(as(t, admin), apikey.GetRequest{ID: k.Key.ID})
			if err != nil || v.Parent != under || (v.ExpiresAt == nil) != ends.IsZero() || v.ExpiresAt != nil && !v.ExpiresAt.Equal(ends) {
				t.Errorf("%s: under %s until %v, want %s until %v (%v)", what, v.Parent, v.ExpiresAt, under, ends, err)
			}
			list, err := r.List(as(t, admin), apikey.ListRequest{State: v.State, Name: "ci"})
			if err != nil || len(list.Items) != 1 {
				t.Errorf("%s: %d keys are found that are %s (%v)", what, len(list.Items), v.State, err)
			}
		}
		do := func(f func(context.Context, apikey.RevokeRequest) (apikey.RevokeResponse, error), id string) {
			t.Helper()
			if _, err := f(system, apikey.RevokeRequest{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		state("made", apikey.Valid, a, time.Time{})
		do(r.Dispute, a)
		state("the one without an end is disputed", apikey.Valid, b, until)
		do(r.EndDispute, a)
		state("it goes on", apikey.Valid, a, time.Time{})
		do(r.Dispute, a)
		e.Clock.Set(until)
		state("the other has ended", apikey.IsExpired, b, until)
		if list, err := r.Options(as(t, customer("cus_a")), struct{}{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		do(r.EndDispute, a)
		state("the dispute is over", apikey.Valid, a, time.Time{})
		do(r.Revoke, b)
		state("what ended is refunded", apikey.Valid, a, time.Time{})
		do(r.Revoke, a)
		state("all is refunded", apikey.IsRevoked, a, time.Time{})
	})
}

// blind is a TemplateStore that holds no family: whoever ends a key has seen what is good before anybody else has ended anything.
type blind struct {
	apikey.TemplateStore
	looked *sync.WaitGroup
}

func (b *blind) HoldFamily(context.Context, licensing.Owner) error { return nil }

func (b *blind) Home(ctx context.Context, owner licensing.Owner, plan string, env licensing.Env, now time.Time) (apikey.Key, error) {
	k, err := b.TemplateStore.Home(ctx, owner, plan, env, now)
	b.looked.Done()
	b.looked.Wait()
	return k, err
}

// refunds has both keys bought refunded at once, each on a replica of its own, while their owner makes keys, and returns how many of those are left.
func refunds(t *testing.T, one, two *rig, bought [2]string) (left int) {
	t.Helper()
	var wg sync.WaitGroup
	for i, r := range []*rig{one, two} {
		wg.Go(func() {
			if _, err := r.Revoke(asFulfil(t), apikey.RevokeRequest{ID: bought[i], Reason: "refund"}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			_, err := r.Create(as(t, customer("cus_a")), apikey.CreateRequest{Plan: "pln_a", Name: fmt.Sprint("late", i)})
			if err != nil && licensing.KindOf(err) != licensing.Forbidden {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := one.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM api_key WHERE parent_id <> '' AND revoked_at IS NULL`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	return left
}

// TestRefundsAtOnceEndAll: two refunds at once, on two replicas, of all that an owner bought leave none of the keys that he made by it, however many
// times, also none that he makes at that moment. Refunds that do not hold the family hand the keys to each other, and this test sees it.
func TestRefundsAtOnceEndAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		first, _ := one.plan(t, apikey.PutTemplateRequest{Most: 100})
		for round := range 10 {
			if round > 0 {
				first, _ = one.sell(t, fmt.Sprint("first/", round, "/1"), time.Time{})
			}
			second, _ := two.sell(t, fmt.Sprint("second/", round, "/1"), time.Time{})
			one.own(t, "ci")
			if left := refunds(t, one, two, [2]string{first, second}); left != 0 {
				t.Fatalf("round %d: %d keys are left", round, left)
			}
		}
	})
	t.Run("blind", func(t *testing.T) {
		e := storetest.Postgres(t) // SQLite's writers follow each other whatever they hold
		one, two := newRig(t, e), newRig(t, e)
		first, _ := one.plan(t, apikey.PutTemplateRequest{Most: 100})
		second, _ := two.sell(t, "second/1/1", time.Time{})
		one.own(t, "ci")
		var looked sync.WaitGroup
		looked.Add(2)
		for _, r := range []*rig{one, two} {
			r.Templates = &blind{TemplateStore: r.Templates, looked: &looked}
		}
		if left := refunds(t, one, two, [2]string{first, second}); left == 0 {
			t.Error("without holding the family all keys ended, so that this test shows nothing")
		}
	})
}

// paused is a TemplateStore whose first caller stands still once it has counted.
type paused struct {
	apikey.TemplateStore
	once    sync.Once
	counted chan struct{}
	goOn    chan struct{}
}

func (p *paused) HoldBase(ctx context.Context, owner licensing.Owner, plan string, env licensing.Env, now time.Time) (apikey.Base, error) {
	b, err := p.TemplateStore.HoldBase(ctx, owner, plan, env, now)
	p.once.Do(func() {
		close(p.counted)
		<-p.goOn
	})
	return b, err
}

// TestAPlanAllowsNoMoreWhenADisputeEnds: whoever makes a key by the second purchase while a dispute stops the first, and whoever makes one by the
// first as soon as that goes on, have counted each other.
func TestAPlanAllowsNoMoreWhenADisputeEnds(t *testing.T) {
	t.Parallel()
	e := storetest.Postgres(t) // SQLite's writers follow each other anyway
	one, two := newRig(t, e), newRig(t, e)
	a, _ := one.plan(t, apikey.PutTemplateRequest{Most: 1})
	one.sell(t, "line/2/1", time.Time{})
	if _, err := one.Dispute(asFulfil(t), apikey.RevokeRequest{ID: a}); err != nil {
		t.Fatal(err)
	}
	p := &paused{TemplateStore: one.Templates, counted: make(chan struct{}), goOn: make(chan struct{})}
	one.Templates = p
	var mu sync.Mutex
	made := 0
	create := func(r *rig) {
		_, err := r.Create(as(t, customer("cus_a")), apikey.CreateRequest{Plan: "pln_a", Name: "ci"})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			made++
		} else if !errors.Is(err, apikey.ErrKeysUsedUp) {
			t.Error(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { create(one) })
	<-p.counted
	over := make(chan struct{})
	wg.Go(func() {
		defer close(over)
		if _, err := two.EndDispute(asFulfil(t), apikey.RevokeRequest{ID: a}); err != nil {
			t.Error(err)
		}
		create(two)
	})
	select {
	case <-over: // nothing held it up
	case <-time.After(300 * time.Millisecond): // it waits for the first, as it should
	}
	close(p.goOn)
	wg.Wait()
	if made != 1 {
		t.Errorf("%d keys were made, the plan allows 1", made)
	}
}
