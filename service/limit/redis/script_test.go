package redis

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mintreu/mintreu/service/limit"
)

// redisOf is a client of the server that a limiter counts on.
func redisOf(l *Limiter) *goredis.Client { return l.client.(*goredis.Client) }

// store puts something under the name of a counter, or nothing.
func store(t *testing.T, l *Limiter, counter string, what any) {
	t.Helper()
	err := redisOf(l).Del(t.Context(), l.key(0, counter)).Err()
	if err == nil && what != nil {
		err = redisOf(l).Set(t.Context(), l.key(0, counter), what, 0).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// life is how long a counter lives yet.
func life(t *testing.T, l *Limiter, counter string) time.Duration {
	t.Helper()
	d, err := redisOf(l).PTTL(t.Context(), l.key(0, counter)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestScriptsAgree: rate.lua, which decides batches of rates alone, and take.lua, which decides everything, say the same of the same counters,
// whatever is stored there, and whichever of them was there before; neither leaves a counter without an end of life that covers its use.
func TestScriptsAgree(t *testing.T) {
	t.Parallel()
	limiters := []*Limiter{onRedis(t), onRedis(t), onRedis(t)} // by rate.lua, by take.lua, by both in turn
	random := rand.New(rand.NewPCG(9, 9))
	decide := func(l *Limiter, groups [][]limit.Check, easy bool) [][]limit.Result {
		t.Helper()
		s := &script{}
		for _, checks := range groups {
			g := l.group(checks)
			l.refused.forget(g.counters[0])
			s.groups, s.known = append(s.groups, g), append(s.known, fromZero)
		}
		if !easy {
			l.prepare(s)
		} else if !l.rates(s) {
			t.Fatal("not for rate.lua")
		}
		answers, errs := l.send([]*script{s})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		out, err := l.results(s, answers[0], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	refused := 0
	for round := range 300 {
		var groups [][]limit.Check
		for _, n := range random.Perm(8)[:1+random.IntN(6)] {
			burst := int64(3 + 4*n)
			groups = append(groups, []limit.Check{{Key: fmt.Sprint(n), Rate: limit.Rate{Count: 1, Period: time.Hour, Burst: burst}, Cost: 1 + random.Int64N(3)}})
		}
		key := fmt.Sprint(random.IntN(8))
		stored := []any{"hello", "nan", "-7", "inf", time.Now().Add(99999 * time.Hour).UnixMicro(), time.Now().Add(-time.Hour).UnixMicro(), nil}[random.IntN(7)]
		var out [3][][]limit.Result
		for i, l := range limiters {
			if round%3 == 2 {
				store(t, l, key, stored)
			}
			out[i] = decide(l, groups, i == 0 || i == 2 && round%2 == 0)
		}
		for i := range groups {
			for _, other := range out[1:] {
				a, b := out[0][i][0], other[i][0]
				if a.Allowed != b.Allowed || a.Remaining != b.Remaining || (a.RetryAfter-b.RetryAfter).Abs() > time.Minute || (a.Reset-b.Reset).Abs() > time.Minute {
					t.Fatalf("round %d, check %+v: %+v and %+v", round, groups[i][0], a, b)
				}
			}
			if !out[0][i][0].Allowed {
				refused++
			}
			for n, l := range limiters {
				ends := life(t, l, groups[i][0].Key)
				if reset := out[n][i][0].Reset; ends <= reset-time.Minute || ends > reset+time.Minute {
					t.Fatalf("round %d: a counter that is full in %s lives for %s", round, reset, ends)
				}
			}
		}
	}
	if refused < 100 || refused > 1000 {
		t.Errorf("%d were refused", refused)
	}
}
