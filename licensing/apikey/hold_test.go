package apikey_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// limited is a key with credits, a rate of which nothing comes back in a test, and a quota.
func limited(c *apikey.CreateRequest) {
	credits(100)(c)
	c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 3600, Burst: 50}, {Name: "daily", Count: 80, Every: licensing.Daily}}
}

// reserve has the rig reserve cost of a key.
func (r *rig) reserve(t *testing.T, text string, cost int64) apikey.ReserveResponse {
	t.Helper()
	out, err := r.Reserve(as(t, machine), apikey.ReserveRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Cost: &cost}, Seconds: 60})
	if err != nil || (out.Reservation != nil) != out.Valid {
		t.Fatalf("%+v, %v", out, err)
	}
	return out
}

func (r *rig) settle(t *testing.T, id string, cost int64) (apikey.HoldView, error) {
	t.Helper()
	return r.Settle(as(t, machine), apikey.SettleRequest{ID: id, Cost: &cost})
}

// stands fails the test unless the key of limited has so much left, of rate, quota and credits.
func (r *rig) stands(t *testing.T, what, id string, rate, quota, left int64) {
	t.Helper()
	k, err := r.store.Key(t.Context(), id, apikey.Reach{})
	if err != nil {
		t.Fatal(err)
	}
	states, err := r.Look(t.Context(), []*apikey.Key{&k})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Env.Store.KeyCredits().CreditsOf(t.Context(), id)
	if err != nil || states[0][0].Remaining != rate || states[0][1].Remaining != quota || c.Balance != left {
		t.Errorf("%s: rate %d, quota %d, credits %d, %v; want %d, %d, %d", what, states[0][0].Remaining, states[0][1].Remaining, c.Balance, err, rate, quota, left)
	}
}

// TestA21_Settled: work that was reserved costs what it did cost, of credits, rate and quota alike, once, however many settle it at once and
// however often; another cost, more than was reserved and a reservation out of reach are refused.
func TestA21_Settled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		two.limiter = one.limiter
		two.Service.Limiter = one.limiter // replicas share their counters
		id, text := one.issue(t, limited)
		held := one.reserve(t, text, 20).Reservation
		one.stands(t, "reserved", id, 30, 60, 80)
		if _, err := one.settle(t, held.ID, 21); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("more than was reserved: %v", err)
		}
		if _, err := one.Settle(as(t, licensing.Actor{Kind: licensing.Machine, Product: "prd_b"}), apikey.SettleRequest{ID: held.ID, Cost: ptr(int64(1))}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("by a token of another product: %v", err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				v, err := []*rig{one, two}[i%2].settle(t, held.ID, 3)
				if err != nil || v.Used != 3 || v.SettledAt == nil {
					t.Errorf("%+v, %v", v, err)
				}
			})
		}
		wg.Wait()
		one.stands(t, "settled", id, 47, 77, 97)
		_, err := two.settle(t, held.ID, 2)
		fails(t, "with another cost", err, apikey.ErrHoldSettled)
		if n, err := one.EndHolds(t.Context()); n != 0 || err != nil {
			t.Errorf("%d ended, %v", n, err)
		}
		e.Clock.Advance(2 * time.Minute)
		if v, err := two.settle(t, held.ID, 3); err != nil || v.Used != 3 {
			t.Errorf("again, after it would have ended: %+v, %v", v, err)
		}
	})
}

// TestA21_NeverSettled: what is never settled comes back when its time is over, once, however many look for it; whoever settles it then is told.
func TestA21_NeverSettled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		two.Service.Limiter = one.limiter
		id, text := one.issue(t, limited)
		first, second := one.reserve(t, text, 20).Reservation, one.reserve(t, text, 10).Reservation
		if out := one.reserve(t, text, 21); out.Code != apikey.RateLimited {
			t.Errorf("beyond what is left: %+v", out)
		}
		one.stands(t, "reserved", id, 20, 50, 70)
		e.Clock.Advance(time.Minute)
		one.poll(t)
		_, err := one.settle(t, second.ID, 4)
		fails(t, "late", err, apikey.ErrHoldEnded)
		var ended atomic.Int64
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				n, err := []*rig{one, two}[i%2].EndHolds(t.Context())
				if err != nil {
					t.Error(err)
				}
				ended.Add(int64(n))
			})
		}
		wg.Wait()
		if ended.Load() != 1 {
			t.Errorf("%d ended", ended.Load())
		}
		e.Clock.Advance(time.Minute) // for each reservation a rate keeps what came back by itself meanwhile
		one.poll(t)
		one.stands(t, "come back", id, 50, 80, 100)
		_, err = one.settle(t, first.ID, 4)
		fails(t, "after it ended", err, apikey.ErrHoldEnded)
		e.Clock.Advance(25 * time.Hour)
		if _, err := one.EndHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = one.settle(t, first.ID, 4)
		fails(t, "when it is forgotten", err, licensing.ErrNotFound)
	})
}

// TestA21_NothingComesBackTwice: what came back by itself while work went on, of a rate, a quota's period or credits that were refilled, is not
// given back again: no window admits more for it.
func TestA21_NothingComesBackTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	id, text := r.issue(t, func(c *apikey.CreateRequest) {
		c.Credits = &apikey.CreditsSpec{Balance: 40, Refill: 40, Every: licensing.Daily}
		c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 1, Burst: 10}, {Name: "daily", Count: 80, Every: licensing.Daily}}
	})
	r.Clock.Advance(r.Clock.Now().Truncate(24 * time.Hour).Add(36*time.Hour - 20*time.Second).Sub(r.Clock.Now())) // in the midst of a day
	r.poll(t)
	held := r.reserve(t, text, 10).Reservation
	r.Clock.Advance(10 * time.Second)
	r.poll(t)
	if got := r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(10))}); got.Code != apikey.Valid {
		t.Fatalf("%+v", got)
	}
	if _, err := r.settle(t, held.ID, 1); err != nil {
		t.Fatal(err)
	}
	r.stands(t, "the rate had come back", id, 0, 69, 29)
	r.Clock.Advance(5 * time.Second)
	r.poll(t)
	r.stands(t, "half of it", id, 5, 69, 29)
	held = r.reserve(t, text, 5).Reservation
	r.Clock.Advance(2500 * time.Millisecond)
	r.poll(t)
	if _, err := r.settle(t, held.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.stands(t, "what had not come back", id, 5, 69, 29)
	r.Clock.Advance(r.Clock.Now().Truncate(24 * time.Hour).Add(24*time.Hour - 20*time.Second).Sub(r.Clock.Now()))
	r.poll(t)
	held = r.reserve(t, text, 10).Reservation
	r.Clock.Advance(30 * time.Second)
	r.poll(t)
	expect(t, "on the next day", r.code(t, text), apikey.Valid)
	if _, err := r.settle(t, held.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.stands(t, "of the day before", id, 9, 79, 39)
}

// TestA21_BackAfterARefill: credits that come back after a refill leave what there would be had only what was used been spent, whatever order they come
// back in: what stood above the refill is not lost, and the refill is not had twice. So it is where the period of refills is changed meanwhile.
func TestA21_BackAfterARefill(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		daily := func(balance, refill int64) (id, text string) {
			r.Clock.Advance(r.Clock.Now().Truncate(24 * time.Hour).Add(48*time.Hour - 20*time.Second).Sub(r.Clock.Now())) // shortly before midnight
			r.poll(t)
			return r.issue(t, func(c *apikey.CreateRequest) {
				c.Credits = &apikey.CreditsSpec{Balance: balance, Refill: refill, Every: licensing.Daily}
			})
		}
		midnight := func() {
			r.Clock.Advance(30 * time.Second)
			r.poll(t)
		}
		left := func(what, id string, want int64) {
			t.Helper()
			c, err := r.Env.Store.KeyCredits().CreditsOf(t.Context(), id)
			if err != nil || c.Balance != want {
				t.Errorf("%s: %d left, %v; want %d", what, c.Balance, err, want)
			}
		}
		settle := func(hold *apikey.HoldView, cost int64) {
			t.Helper()
			if _, err := r.settle(t, hold.ID, cost); err != nil {
				t.Error(err)
			}
		}

		id, text := daily(500, 100)
		held := r.reserve(t, text, 400).Reservation
		midnight()
		settle(held, 150)
		left("bought credits above the refill", id, 350)

		id, text = daily(200, 150)
		one, two := r.reserve(t, text, 50).Reservation, r.reserve(t, text, 50).Reservation
		midnight()
		settle(two, 0)
		left("the refill made up for them", id, 150)
		settle(one, 0)
		left("and for no more", id, 200)

		id, text = daily(30, 100)
		held = r.reserve(t, text, 20).Reservation
		midnight()
		expect(t, "on the next day", r.code(t, text), apikey.Valid)
		late := r.reserve(t, text, 40).Reservation
		settle(held, 5)
		left("the refill is not had twice", id, 59)
		settle(late, 0)
		left("what was taken after it comes back whole", id, 99)

		id, text = daily(500, 100)
		held = r.reserve(t, text, 450).Reservation
		set := func(every licensing.Every) {
			t.Helper()
			if _, err := r.SetCredits(as(t, admin), apikey.SetCreditsRequest{ID: id, Refill: ptr(int64(100)), Every: &every, Reason: "another plan"}); err != nil {
				t.Fatal(err)
			}
		}
		set(licensing.Monthly)
		midnight()
		settle(held, 0)
		left("not refilled after all", id, 500)

		id, text = r.issue(t, func(c *apikey.CreateRequest) { c.Credits = &apikey.CreditsSpec{Balance: 100} })
		r.Clock.Advance(r.Clock.Now().Truncate(24 * time.Hour).Add(48*time.Hour - 20*time.Second).Sub(r.Clock.Now()))
		r.poll(t)
		held = r.reserve(t, text, 60).Reservation
		set(licensing.Daily)
		midnight()
		settle(held, 0)
		left("refilled although it was not to be", id, 100)
	})
}

// brokenHolds is a HoldStore whose first writes fail.
type brokenHolds struct {
	apikey.HoldStore
	left atomic.Int64
}

func (b *brokenHolds) AddHold(ctx context.Context, h apikey.Hold) error {
	if b.left.Add(-1) < 0 {
		return b.HoldStore.AddHold(ctx, h)
	}
	return errors.New("broken")
}

// TestA21_NotWrittenDown: what was spent for a reservation that cannot be written down comes back at once.
func TestA21_NotWrittenDown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, limited)
		broken := &brokenHolds{HoldStore: r.Holds}
		broken.left.Store(1)
		r.Service.Holds = broken
		if _, err := r.Reserve(as(t, machine), apikey.ReserveRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(int64(20))}}); err == nil {
			t.Fatal("reserved")
		}
		r.stands(t, "not written", id, 50, 80, 100)
	})
}

// TestReserve_Refused: a key that is not good for the use reserves and spends nothing; times out of bounds and no cost at all are refused.
func TestReserve_Refused(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	id, text := r.issue(t, limited)
	out, err := r.Reserve(as(t, machine), apikey.ReserveRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Scopes: []string{"write"}}})
	if err != nil || out.Code != apikey.InsufficientScope || out.Reservation != nil {
		t.Errorf("%+v, %v", out, err)
	}
	for what, req := range map[string]apikey.ReserveRequest{"no key": {}, "for ever": {VerifyCheck: apikey.VerifyCheck{Key: text}, Seconds: 100_000}, "no time": {VerifyCheck: apikey.VerifyCheck{Key: text}, Seconds: -1},
		"nothing": {VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(int64(0))}}} {
		if _, err := r.Reserve(as(t, machine), req); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.Settle(as(t, machine), apikey.SettleRequest{ID: "rsv_none"}); licensing.KindOf(err) != licensing.Invalid {
		t.Errorf("without a cost: %v", err)
	}
	r.stands(t, "nothing was spent", id, 50, 80, 100)
}
