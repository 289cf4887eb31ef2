package redis

import (
	"context"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// without answers a group by the degraded modes of its limits: it is refused whole by a closed one; what is left is admitted while
// every lease_only limit has tokens that were taken up front, and within this replica's share of each open one.
func (l *Limiter) without(g *group) []limit.Result {
	l.degraded.Add(int64(len(g.checks)))
	replicas := l.cfg.Replicas()
	var share, leased []limit.Check
	for _, c := range g.checks {
		switch {
		case c.Degraded == apikey.LeaseOnly:
			leased = append(leased, c)
			continue
		case c.Degraded != apikey.Open || replicas < 1:
			return limit.Refused(g.checks)
		}
		part, ok := limit.Part(c, replicas)
		if !ok || part.Validate() != nil {
			return limit.Refused(g.checks)
		}
		share = append(share, part)
	}
	if !l.leases.spend(leased) {
		return limit.Refused(g.checks)
	}
	shared, err := l.local.Take(context.Background(), share)
	if err != nil { // every check was validated, and its share too
		l.leases.put(leased)
		return limit.Refused(g.checks)
	}
	out, admitted := make([]limit.Result, len(g.checks)), true
	for i, n := 0, 0; i < len(out); i++ {
		if g.checks[i].Degraded == apikey.LeaseOnly {
			out[i] = limit.Result{Allowed: true, Remaining: l.leases.left(g.counters[i])}
		} else {
			out[i] = shared[n]
			admitted = admitted && shared[n].Allowed
			n++
		}
		out[i].Degraded = true
	}
	if !admitted {
		l.leases.put(leased)
		return out
	}
	for i := range g.checks { // what is spent of a lease was taken from the counter before
		if c := &g.checks[i]; c.IsQuota() && c.Degraded != apikey.LeaseOnly {
			l.owe(g.counters[i], c.Cost, c.Quota.Until)
		}
	}
	return out
}
