// Package limit counts what callers spend: the generic cell rate algorithm in whole microseconds, in process ([Local]) and on
// Redis (package redis), the same to the microsecond under one conformance suite (package limittest).
//
// A counter is one number, the theoretical arrival time (TAT): the instant at which it is as if never used. Taking cost units moves it by
// cost intervals; a unit is admitted while the TAT stays within burst intervals of now. A group of checks is decided as one: all
// are spent, or none. The words (Rate, Check, Taken) are those of package apikey, whose port [Limiter] this implements.
//
// Within any window of length w a counter admits at most burst + ⌊w ÷ interval⌋ units, wherever the window begins.
//
// The counter of a quota is what was used of it, one counter for each calendar period. Quotas outlive the place where they are
// counted: a [Keeper] writes them down and begins a counter that is lost where it was.
package limit

import (
	"context"
	"math"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
)

// The words of the port.
type (
	Limiter = apikey.Limiter
	Rate    = apikey.Rate
	Quota   = apikey.Quota
	Check   = apikey.Check
	Result  = apikey.Taken
)

// Validate returns the first thing wrong with the checks of a group, an error of kind licensing.Invalid.
func Validate(group []Check) error {
	for i := range group {
		if err := group[i].Validate(); err != nil {
			return err
		}
		if group[i].Owner != group[0].Owner || i > 0 && group[i].Owner == "" && group[i].Key != group[0].Key {
			return apikey.ErrOwner
		}
	}
	return nil
}

// decide is the algorithm for one check: the TAT as stored (0 for none) and the instant now, both in microseconds, give the
// result and the TAT to store when the whole group is admitted. A stored TAT beyond a full burst can only come from a clock that
// ran ahead or from a limit that was lowered; it counts as a full burst and is put back
// as one, so that no counter is stuck.
func decide(c *Check, stored, now int64) (Result, int64) {
	interval := c.Rate.Interval().Microseconds()
	span := c.Rate.Burst * interval
	tat := min(max(stored, now), now+span)
	next := tat + c.Cost*interval
	if over := next - now - span; over > 0 {
		return answer(interval, span, tat-now, over), tat
	}
	return answer(interval, span, next-now, 0), next
}

// answer puts a result into words: used is what of the span is taken, over what it is short of, in microseconds.
func answer(interval, span, used, over int64) Result {
	return Result{
		Allowed: over == 0, Remaining: (span - used) / interval,
		RetryAfter: time.Duration(over) * time.Microsecond, Reset: time.Duration(used) * time.Microsecond,
	}
}

// Answer is the result of a check against a rate, from what a counter elsewhere says in microseconds: how much of its span is used,
// and by how much the check is over it, 0 when it is admitted.
func Answer(r Rate, used, over int64) Result {
	interval := r.Interval().Microseconds()
	return answer(interval, r.Burst*interval, used, over)
}

// refusedFor is the retry-after of a refusal for want of counters.
const refusedFor = time.Second

// Refused is the answer to a group whose counters are away and whose limits do not admit without.
func Refused(group []Check) []Result {
	out := make([]Result, len(group))
	for i := range out {
		out[i] = Result{RetryAfter: refusedFor, Degraded: true}
	}
	return out
}

// Throttle slows attempts down by a [Limiter]. It has the shape that package account asks for.
type Throttle struct{ Limiter Limiter }

// Allow counts one attempt under key, at most count at once and count in each period, and returns how long to wait when that is
// too many. While counters are away it counts in process.
func (t Throttle) Allow(ctx context.Context, key string, count int64, period time.Duration) (time.Duration, error) {
	results, err := t.Limiter.Take(ctx, []Check{{
		Key: "t:" + key, Rate: Rate{Count: count, Period: period, Burst: count}, Cost: 1, Degraded: apikey.Open,
	}})
	switch {
	case err != nil:
		return 0, err
	case len(results) == 1 && results[0].Allowed:
		return 0, nil
	case len(results) == 1:
		return max(results[0].RetryAfter, time.Millisecond), nil
	}
	return refusedFor, nil // what is not answered is refused
}

// Share is the rate of one of n replicas: the n-th part, rounded down. It reports false when nothing is left.
func Share(r Rate, n int64) (Rate, bool) {
	if n <= 1 {
		return r, true
	}
	part := Rate{Count: r.Count / n, Period: r.Period, Burst: r.Burst / n}
	if part.Count == 0 && r.Count > 0 && r.Period <= math.MaxInt64/time.Duration(n) {
		part.Count, part.Period = r.Count, r.Period*time.Duration(n) // less than one a period for each: the same rate, over n periods
	}
	return part, part.Burst > 0 && part.Validate() == nil
}

// Part is a check against the share of one of n replicas. It reports false when nothing is left.
func Part(c Check, n int64) (Check, bool) {
	if c.IsQuota() {
		c.Quota.Most /= max(n, 1)
		return c, c.Quota.Most > 0
	}
	rate, ok := Share(c.Rate, n)
	c.Rate = rate
	return c, ok
}
