package redis

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

// Die takes from a limiter what it holds, as the death of its process does.
func (l *Limiter) Die() {
	l.stocks.rest()
	l.leases.rest()
}

// TestA14_StocksKeepTheRate: three replicas take tokens of a fast rate up front, spend them at random instants and give back what is left; in
// no window more is admitted than the burst and what came back in it. Stocks whose tokens did not shrink would let more through, which
// the second run shows.
func TestA14_StocksKeepTheRate(t *testing.T) {
	t.Parallel()
	for _, planted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rate := limit.Rate{Count: 1000, Period: time.Second, Burst: 160}
			counter, random := limit.NewLocal(time.Now), rand.New(rand.NewPCG(5, 6))
			check := limit.Check{Key: "k", Rate: rate, Cost: 1}
			take := func(cost int64) bool {
				c := check
				c.Cost = cost
				out, err := counter.Take(t.Context(), []limit.Check{c})
				if err != nil {
					t.Fatal(err)
				}
				return out[0].Allowed
			}
			var replicas [3]Limiter
			var at []time.Time // of each that was admitted
			for range 6000 {
				if random.IntN(40) == 0 {
					time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond) // idle, so that a full burst gathers
				}
				time.Sleep(time.Duration(random.IntN(150)) * time.Microsecond)
				l := &replicas[random.IntN(3)]
				g := group{checks: []limit.Check{check}, counters: []string{"k"}}
				if l.stocks.spend(&g) != nil {
					at = append(at, time.Now())
					continue
				}
				if back, _ := l.stocks.drop("k"); back >= rate.Interval().Microseconds() {
					c := check
					c.Cost = back / rate.Interval().Microseconds()
					counter.Give(t.Context(), []limit.Check{c})
				}
				if take(1) {
					at = append(at, time.Now())
				}
				if n := rate.Burst / leaseShare; random.IntN(3) == 0 && counter.Used(&check) <= rate.Burst-n-hotLeft*n && take(n) {
					of := leasing{counter: "k", check: check}
					of.check.Cost = n
					l.stock(of, counter.Used(&check)*rate.Interval().Microseconds(), time.Now())
					if planted {
						l.stocks.of["k"].taken = 1 << 30 // shrinks not
					}
				}
			}
			for i := range replicas {
				replicas[i].stocks.rest()
			}
			wrong := 0
			for i := range at {
				for j := i; j < len(at) && j < i+400; j++ {
					if int64(j-i+1) > rate.Burst+int64(at[j].Sub(at[i])/rate.Interval()) {
						wrong++
						break
					}
				}
			}
			if planted == (wrong == 0) || len(at) < 3000 {
				t.Errorf("planted %v: %d windows of %d are too full", planted, wrong, len(at))
			}
		})
	}
}

// TestStocks_GoBack: what nobody comes for is given back after a while, by itself, whole where units come back slowly; a changed limit is not
// spent from the stock of what it was.
func TestStocks_GoBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rate := limit.Rate{Count: 1, Period: time.Hour, Burst: 160}
		of := leasing{counter: "k", check: limit.Check{Key: "k", Rate: rate, Cost: 10}}
		var l Limiter
		l.stock(of, 0, time.Now())
		l.stocks.wake.Stop() // there is nobody to give it to
		other := limit.Check{Key: "k", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 100}, Cost: 1}
		if l.stocks.spend(&group{checks: []limit.Check{other}, counters: []string{"k"}}) != nil {
			t.Error("another limit was spent of it")
		}
		mine := limit.Check{Key: "k", Rate: rate, Cost: 4}
		if out := l.stocks.spend(&group{checks: []limit.Check{mine}, counters: []string{"k"}}); out == nil || !out[0].Allowed {
			t.Errorf("%+v", out)
		}
		var back []limit.Check
		stale := func() []limit.Check {
			back = nil
			l.stocks.stale(func(units []limit.Check) { back = units })
			return back
		}
		if units := stale(); len(units) != 0 {
			t.Errorf("at once: %+v", units)
		}
		l.stocks.wake.Stop()
		time.Sleep(hotLife)
		if units := stale(); len(units) != 1 || units[0].Cost != 6 || l.stocks.some.Load() || l.stocks.wake != nil {
			t.Errorf("after a while: %+v", units)
		}
	})
}

// TestStocks_NoneGoesBackAfterTheEnd: once a limiter ends, a stock that falls due at that moment is given back by nobody else.
func TestStocks_NoneGoesBackAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		l.stock(leasing{counter: "k", check: limit.Check{Key: "k", Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: 160}, Cost: 10}}, 0, time.Now())
		l.stocks.wake.Stop()
		time.Sleep(hotLife)
		if units := l.stocks.rest(); len(units) != 1 || units[0].Cost != 10 {
			t.Errorf("at the end: %+v", units)
		}
		l.stocks.stale(func(units []limit.Check) { t.Errorf("after it: %+v", units) })
	})
}
