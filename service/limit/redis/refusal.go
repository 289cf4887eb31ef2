package redis

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

const (
	// refusedFor is how long a refusal is remembered at most. What another replica gives back to a counter is seen after that.
	refusedFor = 2 * time.Second
	// maxRefusals is how many counters are remembered.
	maxRefusals = 1 << 16
)

// refusals remembers which counters refused what, so that a caller who does not wait is refused without asking. It is exact: until
// its retry-after has passed, counted from when it was asked, the same or a larger cost can only be refused, since a counter
// gives back no faster than its limit says. A limit that was changed, or to which something was given back, is asked again.
type refusals struct {
	mu   sync.Mutex
	of   map[string]refusal
	some atomic.Bool // of is not empty
}

// refusal is how a counter was when a group with it was refused.
type refusal struct {
	rate  limit.Rate
	quota limit.Quota
	cost  int64 // 0 when it was another of the group that refused
	used  int64 // units of a quota, microseconds of a rate's span
	asked time.Time
	until time.Time
}

// note remembers a group that was refused, but not one that names a counter twice: how that stands is nobody's answer.
func (r *refusals) note(g *group, results []limit.Result, asked time.Time) {
	refused := false
	for i := range results {
		refused = refused || !results[i].Allowed
		if slices.Contains(g.counters[:i], g.counters[i]) {
			return
		}
	}
	if !refused {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= maxRefusals {
		r.of = map[string]refusal{}
	}
	for i := range results {
		c := &g.checks[i]
		e := refusal{rate: c.Rate, quota: c.Quota, asked: asked, until: asked.Add(refusedFor)}
		if c.IsQuota() {
			e.used = c.Quota.Most - results[i].Remaining
		} else {
			e.used = results[i].Reset.Microseconds()
		}
		if !results[i].Allowed {
			e.cost = c.Cost
			e.until = asked.Add(min(results[i].RetryAfter, refusedFor))
		}
		r.of[g.counters[i]] = e
	}
	r.some.Store(true)
}

// answer refuses a group of which a counter refused as much a moment ago. It returns nil when it must be asked.
func (r *refusals) answer(g *group) []limit.Result {
	if !r.some.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now() // not before anything that is remembered was asked for
	refused := false
	for i := range g.checks {
		e, there := r.of[g.counters[i]]
		refused = refused || there && e.cost > 0 && e.refuses(&g.checks[i], now)
	}
	if !refused {
		return nil
	}
	out := make([]limit.Result, len(g.checks))
	for i := range g.checks {
		c := &g.checks[i]
		e := r.of[g.counters[i]] // nothing used, if nothing is known
		out[i] = e.result(c, now)
	}
	return out
}

// refuses reports whether the same or a larger cost is still too much.
func (e *refusal) refuses(c *limit.Check, now time.Time) bool {
	return e.rate == c.Rate && e.quota == c.Quota && c.Cost >= e.cost && now.Before(e.until) && !e.result(c, now).Allowed
}

// result is how a check stands by what is remembered of its counter.
func (e *refusal) result(c *limit.Check, now time.Time) limit.Result {
	if c.IsQuota() {
		return limit.QuotaAnswer(c.Quota, e.used, now.UnixMicro(), e.used+c.Cost <= c.Quota.Most)
	}
	interval := c.Rate.Interval().Microseconds()
	used := max(e.used-now.Sub(e.asked).Microseconds(), 0)
	return limit.Answer(c.Rate, used, max(used+(c.Cost-c.Rate.Burst)*interval, 0))
}

// forget asks again for a counter.
func (r *refusals) forget(counter string) {
	if !r.some.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, counter)
}
