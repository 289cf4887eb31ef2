package redis

import (
	"context"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// without answers a group by the degraded modes of its limits: it is refused whole by a closed one; what is left is admitted while
// every lease_only limit has tokens that were taken up front, and within this replica's share of each open one.
func (l *Limiter) without(g *group) []limit.Result {
	if g.look {
		return limit.Refused(g.checks)
	}
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

const (
	// maxAway is how many counters are remembered of, of each kind.
	maxAway = 1 << 16
	// sweepPause is how long there is nothing new to find for a sweep.
	sweepPause = time.Second
	// lateClocks is how long after a period's end somebody may still ask for it; the counters live as long.
	lateClocks = time.Hour
)

// away is what this replica counts by itself while there are no counters, and owes them for it: otherwise a limit could be spent
// once before they went, once without, and once more when they are back and empty.
type away struct {
	local *limit.Local
	clock licensing.Clock

	mu    sync.Mutex
	used  map[string]int64       // of open quotas, as last seen on Redis
	parts map[string]limit.Check // counters of local, each with a check of one unit
	given map[string]limit.Check // units of quotas that were given back and are still to be struck off their counters
	swept time.Time
}

// debt is what is to be added to a counter: what local admitted of it and has not come back, and, below zero, what was given back.
type debt struct{ spent, given int64 }

// saw remembers what was used of a quota that would go on without Redis. When there is no room another is forgotten.
func (a *away) saw(c *limit.Check, counter string, used int64) {
	if c.Degraded != apikey.Open {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used == nil {
		a.used = map[string]int64{}
	}
	if _, there := a.used[counter]; !there && len(a.used) >= maxAway {
		for other := range a.used {
			delete(a.used, other)
			break
		}
	}
	a.used[counter] = used
}

// share is a check against what one of n replicas may admit: its part of the rate, or of what was left of the quota. It reports false when
// nothing is, or when so many other counters are away that this one could not be remembered.
func (a *away) share(c limit.Check, counter string, n int64) (limit.Check, bool) {
	a.mu.Lock()
	if c.IsQuota() {
		c.Quota.Most -= a.used[counter]
	}
	room := a.room(counter)
	a.mu.Unlock()
	if !room {
		return c, false
	}
	return limit.Part(c, n)
}

// room reports whether a counter has a place among parts, or gets one. Needs a.mu.
func (a *away) room(counter string) bool {
	if _, there := a.parts[counter]; there || len(a.parts) < maxAway {
		return true
	}
	a.sweep()
	return len(a.parts) < maxAway
}

// spent notes that local has admitted a check.
func (a *away) spent(part limit.Check) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts == nil {
		a.parts = map[string]limit.Check{}
	}
	a.parts[limit.Counter(&part)] = part
}

// sweep drops what nothing is owed for any more, and quotas whose period is over, every so often: a look at all of them takes time. Needs a.mu.
func (a *away) sweep() {
	now := time.Now()
	if now.Sub(a.swept) < sweepPause {
		return
	}
	a.swept = now
	for counter, part := range a.parts {
		if a.over(&part) || a.local.Used(&part) == 0 {
			a.local.Forget(counter)
			delete(a.parts, counter)
		}
	}
	for counter, c := range a.given {
		if a.over(&c) {
			delete(a.given, counter)
		}
	}
}

// over reports whether a check is of a quota for which nobody asks any more.
func (a *away) over(c *limit.Check) bool {
	return c.IsQuota() && a.clock.Now().After(c.Quota.Until.Add(lateClocks))
}

// give notes units of a quota to be taken off its counter. When there is no room they stay spent.
func (a *away) give(c *limit.Check) {
	a.mu.Lock()
	defer a.mu.Unlock()
	counter := limit.Counter(c)
	if a.given == nil {
		a.given = map[string]limit.Check{}
	}
	sum, there := a.given[counter]
	if !there && len(a.given) >= maxAway {
		if a.sweep(); len(a.given) >= maxAway {
			return
		}
	}
	if !there {
		sum = *c
		sum.Cost = 0
	}
	sum.Cost += c.Cost
	a.given[counter] = sum
}

// owes is what is owed to a counter, in units: of a rate those that have not come back yet.
func (a *away) owes(counter string) debt {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := debt{given: -a.given[counter].Cost}
	if part, ok := a.parts[counter]; ok {
		d.spent = a.local.Used(&part)
	}
	return d
}

// paid notes that a debt was settled; what came to it since it was told is still owed.
func (a *away) paid(counter string, d debt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if part, ok := a.parts[counter]; ok && d.spent > 0 {
		back := part
		back.Cost = d.spent
		a.local.Give(context.Background(), []limit.Check{back})
		if a.local.Used(&part) == 0 {
			a.local.Forget(counter)
			delete(a.parts, counter)
		}
	}
	if c, ok := a.given[counter]; ok {
		if c.Cost += d.given; c.Cost <= 0 {
			delete(a.given, counter)
		} else {
			a.given[counter] = c
		}
	}
}
