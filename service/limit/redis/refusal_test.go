package redis

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

// TestRefusals_OnlyWhatWouldBeRefused: over a long random run, whatever is refused from memory the counters would refuse at that
// instant too, and much is. A memory that ignored the cost would be wrong, which the second run shows.
func TestRefusals_OnlyWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	for _, planted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var r refusals
			counters := limit.NewLocal(time.Now)
			random := rand.New(rand.NewPCG(3, 4))
			month := limit.Quota{Most: 400, From: time.Now(), Until: time.Now().Add(744 * time.Hour)}
			wrong, remembered := 0, 0
			for range 20_000 {
				time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
				all := []limit.Check{
					{Key: "fast", Owner: "o", Rate: limit.Rate{Count: 2, Period: time.Second, Burst: 5}, Cost: 1 + random.Int64N(4)},
					{Key: "slow", Owner: "o", Rate: limit.Rate{Count: 10, Period: 7 * time.Second, Burst: 9}, Cost: 1 + random.Int64N(4)},
					{Key: "month", Owner: "o", Quota: month, Cost: 1 + random.Int64N(3)},
				}
				from := random.IntN(3)
				checks := all[from : from+1+random.IntN(3-from)]
				g := group{checks: checks}
				for i := range checks {
					g.counters = append(g.counters, limit.Counter(&checks[i]))
				}
				if planted {
					for k, e := range r.of {
						e.cost = min(e.cost, 1)
						r.of[k] = e
					}
				}
				told := r.answer(&g)
				if planted && told == nil && r.some.Load() { // refuses the counter, whatever the cost
					for i := range checks {
						if e := r.of[g.counters[i]]; e.cost > 0 && time.Now().Before(e.until) {
							told = []limit.Result{{}}
						}
					}
				}
				out, err := counters.Take(t.Context(), checks)
				if err != nil {
					t.Fatal(err)
				}
				refused := false
				for i := range out {
					refused = refused || !out[i].Allowed
				}
				if told != nil {
					remembered++
					if !refused {
						wrong++
					}
				}
				r.note(&g, out, time.Now())
				if random.IntN(5000) == 0 { // given back, and told
					counters.Give(t.Context(), []limit.Check{{Key: "month", Quota: month, Cost: 50}})
					r.forget(limit.Counter(&limit.Check{Key: "month", Quota: month}))
				}
			}
			if planted == (wrong == 0) || remembered < 1000 {
				t.Errorf("planted %v: %d wrong of %d refused from memory", planted, wrong, remembered)
			}
		})
	}
}

// TestRefusals_ForgetWhatChanged: a limit that was raised, a smaller cost and an old refusal are asked again.
func TestRefusals_ForgetWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		month := limit.Quota{Most: 10, From: time.Now(), Until: time.Now().Add(744 * time.Hour)}
		of := func(most, cost int64) *group {
			q := month
			q.Most = most
			c := limit.Check{Key: "k", Quota: q, Cost: cost}
			return &group{checks: []limit.Check{c}, counters: []string{limit.Counter(&c)}}
		}
		r.note(of(10, 3), []limit.Result{limit.QuotaAnswer(month, 8, time.Now().UnixMicro(), false)}, time.Now())
		if out := r.answer(of(10, 3)); out == nil || out[0].Allowed || out[0].Remaining != 2 || out[0].RetryAfter < 743*time.Hour {
			t.Errorf("the same: %+v", out)
		}
		if r.answer(of(10, 4)) == nil {
			t.Error("a larger cost is asked")
		}
		if r.answer(of(10, 2)) != nil {
			t.Error("a smaller cost is not asked")
		}
		if r.answer(of(12, 3)) != nil {
			t.Error("a raised limit is not asked")
		}
		time.Sleep(refusedFor)
		if r.answer(of(10, 3)) != nil {
			t.Error("an old refusal is not asked again")
		}
	})
}

// TestRefusals_KnownWhileAsked: a caller who comes while a refusal is noted is told of it as of that moment, not of one before: nothing is less
// than used up.
func TestRefusals_KnownWhileAsked(t *testing.T) {
	t.Parallel()
	var r refusals
	c := limit.Check{Key: "k", Rate: limit.Rate{Count: 1_000_000, Period: time.Second, Burst: 10}, Cost: 10}
	g := group{checks: []limit.Check{c}, counters: []string{limit.Counter(&c)}}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for _, out := range r.answer(&g) {
					if out.Remaining < 0 {
						t.Errorf("%+v", out)
						return
					}
				}
			}
		})
	}
	full := limit.Answer(c.Rate, 10, 10)
	for range 20_000 {
		r.note(&g, []limit.Result{full}, time.Now())
	}
	close(done)
	wg.Wait()
}
