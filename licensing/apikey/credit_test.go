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

func credits(n int64) func(*apikey.CreateRequest) {
	return func(c *apikey.CreateRequest) { c.Credits = &apikey.CreditsSpec{Balance: n} }
}

// TestCreditsAreExact: 100 callers of two replicas, with batches among them, spend exactly the credits that a key has, never one more; each
// answer says what was left, and a refusal costs nothing.
func TestCreditsAreExact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		const have = 150
		id, text := one.issue(t, credits(have))
		_, free := one.issue(t, nil)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			r := []*rig{one, two}[i%2]
			wg.Go(func() {
				ask := apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text}}
				if i%3 == 0 {
					ask = apikey.VerifyRequest{Batch: []apikey.VerifyCheck{{Key: text}, {Key: free}, {Key: text, Cost: ptr(int64(2))}}}
				}
				out, err := r.Verify(as(t, machine), ask)
				if err != nil {
					t.Error(err)
					return
				}
				for n, got := range append(out.Batch, out.VerifyResult) {
					switch {
					case len(out.Batch) > 0 && (n == 1 || n == len(out.Batch)):
					case got.Code == apikey.Valid && got.Credits != nil && got.Credits.Remaining >= 0:
						admitted.Add(int64(1 + n/2))
					case got.Code != apikey.NoCredits || got.Credits == nil:
						t.Errorf("%+v", got)
					}
				}
			})
		}
		wg.Wait()
		left, err := e.Store.KeyCredits().CreditsOf(t.Context(), id)
		if err != nil || admitted.Load()+left.Balance != have || left.Balance > 1 {
			t.Errorf("%d spent of %d, %d left, %v", admitted.Load(), have, left.Balance, err)
		}
	})
}

// TestCreditsAndLimits: credits of a use that a limit refuses are given back, so nothing is spent on a denial; who floods a key that is
// refused reaches neither counters nor database.
func TestCreditsAndLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, func(c *apikey.CreateRequest) {
			credits(10)(c)
			c.Limits = []apikey.Limit{{Name: "calls", Count: 2, Seconds: 3600}}
		})
		for _, want := range []int64{9, 8} {
			if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.Valid || got.Credits.Remaining != want {
				t.Fatalf("%+v", got)
			}
		}
		asked := r.limiter.asked.Load()
		for range 100 {
			if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.RateLimited || got.Credits == nil || got.Credits.Remaining != 8 || got.RetryAfter <= 0 || len(got.Limits) != 1 {
				t.Fatalf("%+v", got)
			}
		}
		if n := r.limiter.asked.Load() - asked; n != 1 {
			t.Errorf("a flood of refusals asked the limiter %d times", n)
		}
		if c, err := e.Store.KeyCredits().CreditsOf(t.Context(), id); err != nil || c.Balance != 8 {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(int64(3))}}); !errors.Is(err, apikey.ErrCost) {
			t.Errorf("beyond the burst: %v", err)
		}
	})
}

// TestCreditsRefill: the balance is raised at the start of each period of the calendar, what is above stays; staff add, take, and end
// credits, which is in force at once; a key out of reach does not exist.
func TestCreditsRefill(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, func(c *apikey.CreateRequest) {
			c.Credits = &apikey.CreditsSpec{Balance: 1, Refill: 3, Every: licensing.Monthly}
		})
		expect(t, "the first", r.code(t, text), apikey.Valid)
		got := r.verify(t, apikey.VerifyCheck{Key: text})
		now := e.Clock.Now()
		next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		if got.Code != apikey.NoCredits || !got.Credits.RefillAt.Equal(next) || got.RetryAfter != next.Sub(now).Seconds() {
			t.Fatalf("%+v", got)
		}
		set := func(req apikey.SetCreditsRequest) apikey.KeyView {
			t.Helper()
			req.ID, req.Reason = id, "topped up"
			v, err := r.SetCredits(as(t, admin), req)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := set(apikey.SetCreditsRequest{Add: 5}); v.Credits.Remaining != 5 {
			t.Fatalf("%+v", v.Credits)
		}
		expect(t, "after the top-up", r.code(t, text), apikey.Valid)
		e.Clock.Advance(next.Sub(e.Clock.Now()))
		r.poll(t)
		if got := r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(2))}); got.Code != apikey.Valid || got.Credits.Remaining != 2 {
			t.Fatalf("a refill took away what was above: %+v", got.Credits)
		}
		e.Clock.Advance(32 * 24 * time.Hour)
		r.poll(t)
		if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.Valid || got.Credits.Remaining != 2 {
			t.Fatalf("refilled to 3: %+v", got.Credits)
		}
		if v := set(apikey.SetCreditsRequest{Add: -1000}); v.Credits.Remaining != 0 {
			t.Fatalf("%+v", v.Credits)
		}
		expect(t, "all taken", r.code(t, text), apikey.NoCredits)
		if v := set(apikey.SetCreditsRequest{Off: true}); v.Credits != nil {
			t.Fatalf("%+v", v.Credits)
		}
		if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.Valid || got.Credits != nil {
			t.Errorf("without credits: %+v", got)
		}
		_, err := r.SetCredits(as(t, customer("cus_b")), apikey.SetCreditsRequest{ID: id, Add: 1})
		fails(t, "another customer", err, licensing.ErrNotFound)
	})
}

// TestCreditsRaceIsFoundBySplitReadAndWrite: spending as two statements, read and then write, admits more than there is, so the race above
// would find it.
func TestCreditsRaceIsFoundBySplitReadAndWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, store := newRig(t, e), e.Store.KeyCredits()
		id, _ := r.issue(t, credits(8))
		var admitted atomic.Int64
		var wg, read sync.WaitGroup
		read.Add(8)
		for range 8 {
			wg.Go(func() {
				c, err := store.CreditsOf(t.Context(), id)
				read.Done()
				read.Wait()
				if err != nil || c.Balance < 4 {
					return
				}
				c.Balance -= 4
				ctx := licensing.AsSystem(t.Context(), "naive")
				if err := e.Store.InTx(ctx, func(ctx context.Context) error { return store.SaveCredits(ctx, []apikey.Credits{c}) }); err == nil {
					admitted.Add(4)
				}
			})
		}
		wg.Wait()
		if admitted.Load() <= 8 {
			t.Errorf("the naive way spent %d of 8, so the race proves nothing", admitted.Load())
		}
	})
}
