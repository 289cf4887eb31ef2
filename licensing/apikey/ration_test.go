package apikey_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// held is a Limiter that has uses of one cost wait, once it is asked for them, until they may go on.
type held struct {
	apikey.Limiter
	cost     int64
	came, on chan struct{}
}

func (h *held) TakeEach(ctx context.Context, groups [][]apikey.Check) ([][]apikey.Taken, error) {
	if groups[0][0].Cost == h.cost {
		close(h.came)
		<-h.on
	}
	return h.Limiter.TakeEach(ctx, groups)
}

// purse is a CreditStore that notes the least balance it was given, and fails if it is told to.
type purse struct {
	apikey.CreditStore
	least  atomic.Int64
	broken atomic.Bool
}

func (p *purse) SaveCredits(ctx context.Context, all []apikey.Credits) error {
	if p.broken.Load() {
		return errors.New("broken")
	}
	for _, c := range all {
		p.least.Store(min(p.least.Load(), c.Balance))
	}
	return p.CreditStore.SaveCredits(ctx, all)
}

// TestCreditsAreNotSpentOnADenial: while the limits decide on a use that they refuse, its credits are there for others, and at no instant, at
// which a process may die, are they spent.
func TestCreditsAreNotSpentOnADenial(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		p := &purse{CreditStore: r.Credits}
		p.least.Store(100)
		r.Service.Credits = p
		id, text := r.issue(t, func(c *apikey.CreateRequest) {
			credits(4)(c)
			c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 3600, Burst: 3}}
		})
		expect(t, "the first", r.code(t, text), apikey.Valid)
		slow := &held{Limiter: r.limiter.Limiter, cost: 3, came: make(chan struct{}), on: make(chan struct{})}
		r.limiter.Limiter = slow
		refused := make(chan apikey.VerifyResult)
		go func() {
			out, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(int64(3))}})
			if err != nil {
				t.Error(err)
			}
			refused <- out.VerifyResult
		}()
		<-slow.came
		if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Code != apikey.Valid || got.Credits.Remaining != 2 {
			t.Errorf("while another is decided: %+v", got)
		}
		close(slow.on)
		if got := <-refused; got.Code != apikey.RateLimited || got.Credits == nil || got.Credits.Remaining != 2 {
			t.Errorf("%+v", got)
		}
		if c, err := e.Store.KeyCredits().CreditsOf(t.Context(), id); err != nil || c.Balance != 2 || p.least.Load() != 2 {
			t.Errorf("%+v, at least %d, %v", c, p.least.Load(), err)
		}
	})
}

// TestLimitsAreNotSpentWithoutCredits: a use for which there are no credits gives the limits back what they took, and so does one whose credits
// cannot be spent, with all others that were asked with it.
func TestLimitsAreNotSpentWithoutCredits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		p := &purse{CreditStore: r.Credits}
		r.Service.Credits = p
		id, text := r.issue(t, limited)
		free, freeText := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 5, Seconds: 3600}} })
		if got := r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(40))}); got.Code != apikey.Valid {
			t.Fatalf("%+v", got)
		}
		if _, err := r.SetCredits(as(t, admin), apikey.SetCreditsRequest{ID: id, Add: -55, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		if got := r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(6))}); got.Code != apikey.NoCredits || len(got.Limits) != 0 || got.Credits.Remaining != 5 {
			t.Errorf("%+v", got)
		}
		r.stands(t, "without enough", id, 10, 40, 5)
		expect(t, "with enough", r.verify(t, apikey.VerifyCheck{Key: text, Cost: ptr(int64(5))}).Code, apikey.Valid)
		r.stands(t, "with enough", id, 5, 35, 0)
		p.broken.Store(true)
		r.Invalidate(id)
		if _, err := r.Verify(as(t, machine), apikey.VerifyRequest{Batch: []apikey.VerifyCheck{{Key: text}, {Key: freeText}}}); err == nil {
			t.Error("answered without the credits")
		}
		r.stands(t, "when they cannot be spent", id, 5, 35, 0)
		k, err := r.store.Key(t.Context(), free, apikey.Reach{})
		if err != nil {
			t.Fatal(err)
		}
		if states, err := r.Look(t.Context(), []*apikey.Key{&k}); err != nil || states[0][0].Remaining != 5 {
			t.Errorf("asked with it: %+v, %v", states, err)
		}
	})
}
