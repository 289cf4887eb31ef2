package apikey_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// slowLimiter is a limiter that takes its time, refusing when that is said.
type slowLimiter struct {
	apikey.Limiter
	clock *storetest.Clock
	takes time.Duration
	fails error
}

func (l *slowLimiter) TakeEach(ctx context.Context, groups [][]apikey.Check) ([][]apikey.Taken, error) {
	l.clock.Advance(l.takes)
	if l.fails != nil {
		return nil, l.fails
	}
	return l.Limiter.TakeEach(ctx, groups)
}

// TestCreditsComeBackToTheirPeriodAlone: credits of a use that is refused, or cannot be decided, are given back; but not where they were refilled
// meanwhile, since a period would begin with more than it is refilled to.
func TestCreditsComeBackToTheirPeriodAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for name, fails := range map[string]error{"refused": nil, "undecided": errors.New("away")} {
			for after, want := range map[time.Duration]int64{time.Millisecond: 10, 2 * time.Second: 10} {
				r := newRig(t, e)
				slow := &slowLimiter{Limiter: r.limiter, clock: e.Clock}
				r.Service.Limiter = slow
				now := e.Clock.Now().UTC()
				e.Clock.Advance(now.Truncate(24 * time.Hour).Add(24*time.Hour - time.Second).Sub(now)) // a second before the day ends
				r.poll(t)
				id, text := r.issue(t, func(c *apikey.CreateRequest) {
					c.Credits = &apikey.CreditsSpec{Balance: 10, Refill: 10, Every: licensing.Daily}
					c.Limits = []apikey.Limit{{Name: "calls", Count: 1, Seconds: 3600 * 24 * 365, Burst: 1}}
				})
				if fails == nil {
					out, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text}})
					if err != nil || !out.Valid {
						t.Fatalf("%+v, %v", out, err)
					}
					want--
					if after > time.Second { // the day's refill makes up for it
						want++
					}
				}
				slow.takes, slow.fails = after, fails
				_, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text}})
				if (err != nil) != (fails != nil) {
					t.Fatalf("%s: %v", name, err)
				}
				c, err := e.Store.KeyCredits().CreditsOf(t.Context(), id)
				if err != nil || c.Balance != want {
					t.Errorf("%s after %v: %d credits, %v; want %d", name, after, c.Balance, err, want)
				}
			}
		}
	})
}

// TestA21_SettledAtTheEnd: one instant says whether a reservation that is settled has ended. Where it ends while it is settled, its caller is not
// told that all came back while it was spent, since he would spend it again.
func TestA21_SettledAtTheEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, limited)
		held := r.reserve(t, text, 20).Reservation
		e.Clock.Advance(held.EndsAt.Sub(e.Clock.Now()) - time.Millisecond)
		r.poll(t)
		deps := r.Deps
		deps.Clock = func() time.Time { // a clock that goes on while one asks
			now := e.Clock.Now()
			e.Clock.Advance(time.Millisecond)
			return now
		}
		late, err := apikey.New(deps)
		if err != nil {
			t.Fatal(err)
		}
		v, err := late.Settle(as(t, machine), apikey.SettleRequest{ID: held.ID, Cost: ptr(int64(3))})
		if err != nil || v.Used != 3 {
			t.Errorf("settled in its last millisecond: %+v, %v", v, err)
		}
		c, err := e.Store.KeyCredits().CreditsOf(t.Context(), id)
		if err != nil || c.Balance != 97 {
			t.Errorf("%d credits, %v; want 97", c.Balance, err)
		}
	})
}

// TestR02_TemplatesOfTheReach: a machine token that is narrowed to a product reads how keys of that product's plans are made, and of no other's.
func TestR02_TemplatesOfTheReach(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.plan(t, apikey.PutTemplateRequest{Most: 2})
	for product, want := range map[string]error{"": nil, "prd_a": nil, "prd_b": licensing.ErrNotFound} {
		_, err := r.Template(as(t, licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: product}), apikey.TemplateRequest{ID: "pln_a"})
		fails(t, "narrowed to "+product, err, want)
	}
}

// TestLimitsPerPlanCountOnePlan: a limit per plan is one for all keys that an owner has of the plan, whether they were bought, made by its template or
// made by staff, and apart from that of another product's plan of the same code.
func TestLimitsPerPlanCountOnePlan(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	shared := []apikey.Limit{{Name: "plan", Per: apikey.PerPlan, Count: 1, Seconds: 3600, Burst: 2}, {Name: "month", Per: apikey.PerPlan, Count: 2, Every: licensing.Monthly}}
	r.plan(t, apikey.PutTemplateRequest{Limits: shared, Most: 1})
	own, err := r.Create(as(t, customer("cus_a")), apikey.CreateRequest{Plan: "pln_a", Name: "own"})
	if err != nil {
		t.Fatal(err)
	}
	_, byHand := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = shared })
	_, other := r.issue(t, func(c *apikey.CreateRequest) { c.Product, c.Limits = "prd_b", shared })
	expect(t, "the owner's own", r.code(t, own.Secret), apikey.Valid)
	expect(t, "one made by staff", r.code(t, byHand), apikey.Valid)
	expect(t, "the third use of the plan", r.code(t, byHand), apikey.QuotaExceeded)
	expect(t, "the plan of another product", r.code(t, other), apikey.Valid)
}
