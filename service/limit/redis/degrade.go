package redis

import (
	"context"
	"sync"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// without answers a group by the degraded modes of its limits: it is refused whole by a closed one; what is left is admitted while
// every lease_only limit has tokens that were taken up front, and within this replica's share of each open one.
func (l *Limiter) without(g *group) []limit.Result {
	l.degraded.Add(int64(len(g.checks)))
	replicas := l.cfg.Replicas()
	var share, leased []limit.Check
	for i, c := range g.checks {
		switch {
		case c.Degraded == apikey.LeaseOnly:
			leased = append(leased, c)
			continue
		case c.Degraded != apikey.Open || replicas < 1:
			return limit.Refused(g.checks)
		}
		part, ok := l.away.share(c, g.counters[i], replicas)
		if !ok || part.Validate() != nil {
			return limit.Refused(g.checks)
		}
		share = append(share, part)
	}
	if !l.leases.spend(leased) {
		return limit.Refused(g.checks)
	}
	shared, err := l.away.local.Take(context.Background(), share)
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
	for i := range share { // what is spent of a lease was taken from the counter before
		l.away.spent(share[i])
	}
	return out
}

// maxAway is how many counters are remembered of.
const maxAway = 1 << 16

// away is what this replica counts by itself while there are no counters, and owes them for it: otherwise a limit could be spent
// once before they went, once without, and once more when they are back and empty.
type away struct {
	local *limit.Local

	mu    sync.Mutex
	used  map[string]int64       // of open quotas, as last seen on Redis
	parts map[string]limit.Check // counters of local, each with a check of one unit
	owed  map[string]int64       // units to be added to a counter otherwise; what is given back is below zero
}

// saw remembers what was used of a quota that would go on without Redis.
func (a *away) saw(c *limit.Check, counter string, used int64) {
	if c.Degraded != apikey.Open {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used == nil || len(a.used) >= maxAway {
		a.used = map[string]int64{}
	}
	a.used[counter] = used
}

// share is a check against what one of n replicas may admit: its part of the rate, or of what was left of the quota.
func (a *away) share(c limit.Check, counter string, n int64) (limit.Check, bool) {
	if c.IsQuota() {
		a.mu.Lock()
		c.Quota.Most -= a.used[counter]
		a.mu.Unlock()
	}
	return limit.Part(c, n)
}

// spent notes that local has admitted a check.
func (a *away) spent(part limit.Check) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts == nil {
		a.parts = map[string]limit.Check{}
	}
	if len(a.parts) >= maxAway {
		a.sweep()
	}
	a.parts[limit.Counter(&part)] = part
}

// sweep drops what nothing is owed for any more. Needs a.mu.
func (a *away) sweep() {
	for counter, part := range a.parts {
		if a.local.Used(&part) == 0 {
			delete(a.parts, counter)
		}
	}
}

// owe notes units to be added to a counter.
func (a *away) owe(counter string, units int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owed == nil || len(a.owed) >= maxAway {
		a.owed = map[string]int64{}
	}
	a.owed[counter] += units
}

// owes is how many units are owed to a counter: of a rate those that have not come back yet.
func (a *away) owes(counter string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	units := a.owed[counter]
	if part, ok := a.parts[counter]; ok {
		units += a.local.Used(&part)
	}
	return units
}

// paid notes that units were added to a counter: all that was owed, since nothing is admitted without it meanwhile.
func (a *away) paid(counter string, units int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.parts[counter]; ok {
		a.local.Forget(counter)
		delete(a.parts, counter)
		delete(a.owed, counter)
		return
	}
	if a.owed[counter] -= units; a.owed[counter] == 0 {
		delete(a.owed, counter)
	}
}
