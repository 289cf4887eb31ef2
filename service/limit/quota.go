package limit

import (
	"strconv"
	"time"
)

// Counter names the counter of a check: its key, and for a quota the period too, by its dates, so that each period has one of its own, whose use goes on
// where the zone of the quota is changed.
func Counter(c *Check) string {
	if !c.IsQuota() {
		return c.Key
	}
	first, next := c.Quota.Named()
	return c.Key + "@" + strconv.FormatInt(first, 36) + "-" + strconv.FormatInt(next, 36)
}

// decideQuota is the algorithm for a quota: used is what of the period is spent, next what is when the group is admitted.
func decideQuota(c *Check, used, now int64) (r Result, next int64) {
	if used+c.Cost > c.Quota.Most {
		return QuotaAnswer(c.Quota, used, now, false), used
	}
	return QuotaAnswer(c.Quota, used+c.Cost, now, true), used + c.Cost
}

// QuotaAnswer is the result of a check of a quota, from what a counter says is used after it; now is in microseconds since 1970.
func QuotaAnswer(q Quota, used, now int64, allowed bool) Result {
	left := max(time.Duration(q.Until.UnixMicro()-now)*time.Microsecond, 0)
	r := Result{Allowed: allowed, Remaining: max(q.Most-used, 0)}
	if used > 0 {
		r.Reset = left
	}
	if !allowed {
		r.RetryAfter = max(left, time.Millisecond) // a period that has just ended is asked for under another counter
	}
	return r
}
