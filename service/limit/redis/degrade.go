package redis

import (
	"context"
	"slices"
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
	var share, seen, leased []limit.Check
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
		share, seen = append(share, part), append(seen, l.away.known(c, replicas))
	}
	if !l.leases.spend(leased) {
		return limit.Refused(g.checks)
	}
	shared, err := l.away.take(share, seen, replicas)
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
	n := 0
	for i := range g.checks { // what is spent of a lease was taken from the counter before
		if g.checks[i].Degraded != apikey.LeaseOnly {
			l.away.spent(g.checks[i], share[n])
			n++
		}
	}
	return out
}

// settle pays what is owed, as far as the counters are there, once Redis answers again: whoever asks next does so of another replica perhaps.
func (l *Limiter) settle() {
	if !l.away.owing() || !l.settling.CompareAndSwap(false, true) {
		return
	}
	l.background.Go(func() {
		defer l.settling.Store(false)
		unknown := func(string) (int64, bool) { return 0, false }
		for groups := range slices.Chunk(l.away.owed(), maxBatch) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := l.LookAt(ctx, groups, unknown) // every script pays what is owed to the counters that it looks at
			cancel()
			if err != nil {
				return
			}
		}
	})
}

const (
	// maxAway is how many counters are remembered of, of each kind.
	maxAway = 1 << 16
	// sweepPause is how long there is nothing new to find for a sweep.
	sweepPause = time.Second
	// seenPrefix begins the names of counters of what was seen.
	seenPrefix = "seen:"
	// lateClocks is how long after a period's end somebody may still ask for it; the counters live as long.
	lateClocks = time.Hour
)

// away is what this replica counts by itself while there are no counters, and owes them for it: otherwise a limit could be spent
// once before they went, once without, and once more when they are back and empty.
type away struct {
	local *limit.Local
	clock licensing.Clock

	mu    sync.Mutex
	used  map[string]int64       // units of open quotas, as last seen on Redis
	until map[string]int64       // when, by this clock, all of an open rate will have come back, as last seen there, in microseconds
	parts map[string]stake       // counters of local
	given map[string]limit.Check // units of quotas that were given back and are still to be struck off their counters
	swept time.Time
}

// stake is a limit of which local has admitted something: a check against it, and one against the share of this replica.
type stake struct{ whole, part limit.Check }

// debt is what is to be added to a counter: what local admitted of it and has not come back, and, below zero, what was given back.
type debt struct{ spent, given int64 }

// saw remembers what was used of a limit that would go on without Redis: units of a quota, of a rate the instant at which all has come back.
func (a *away) saw(c *limit.Check, counter string, used int64) {
	if c.Degraded != apikey.Open {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.IsQuota() {
		a.used = remember(a.used, counter, used)
	} else {
		a.until = remember(a.until, counter, used)
	}
}

// remember keeps a number under a name. When there is no room another is forgotten; rates, of which there is one for each address that signs in,
// push out no quotas.
func remember(to map[string]int64, name string, n int64) map[string]int64 {
	if to == nil {
		to = map[string]int64{}
	}
	if _, there := to[name]; !there && len(to) >= maxAway {
		for other := range to {
			delete(to, other)
			break
		}
	}
	to[name] = n
	return to
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

// known is a check against all that the replicas may admit of a rate together, as far as this one last saw what was used of it: one of n takes n
// units for each of its own, since each of the others may do the same.
func (a *away) known(c limit.Check, n int64) limit.Check {
	if c.IsQuota() { // its share is part of what was left
		return c
	}
	a.mu.Lock()
	until := a.until[c.Key]
	a.mu.Unlock()
	c.Key, c.Cost = seenPrefix+c.Key, c.Cost*n
	a.local.Raise(&c, until)
	return c
}

// take takes each share, as long as it is within what was seen, too. Nothing is taken when one of them is refused.
func (a *away) take(share, seen []limit.Check, n int64) ([]limit.Result, error) {
	both := make([]limit.Check, 0, 2*len(share))
	for i := range share {
		if both = append(both, share[i]); !share[i].IsQuota() {
			both = append(both, seen[i])
		}
	}
	for i := range both {
		both[i].Owner = "away" // whoever's they are, they are counted here
	}
	results, err := a.local.Take(context.Background(), both)
	if err != nil {
		return nil, err
	}
	out := results[:0]
	for i := 0; i < len(both); i++ {
		r := results[i]
		if !both[i].IsQuota() {
			i++
			r = lesser(r, results[i], n)
		}
		out = append(out, r)
	}
	return out, nil
}

// lesser is what a check is told that was decided by two counters, of which the other counts n units for one.
func lesser(r, other limit.Result, n int64) limit.Result {
	return limit.Result{
		Allowed: r.Allowed && other.Allowed, Remaining: min(r.Remaining, other.Remaining/n),
		RetryAfter: max(r.RetryAfter, other.RetryAfter), Reset: max(r.Reset, other.Reset),
	}
}

// room reports whether a counter has a place among parts, or gets one. Needs a.mu.
func (a *away) room(counter string) bool {
	if _, there := a.parts[counter]; there || len(a.parts) < maxAway {
		return true
	}
	a.sweep()
	return len(a.parts) < maxAway
}

// spent notes that local has admitted a check, by its part of one against the whole limit.
func (a *away) spent(whole, part limit.Check) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts == nil {
		a.parts = map[string]stake{}
	}
	whole.Cost = 1
	a.parts[limit.Counter(&part)] = stake{whole, part}
}

// owing reports whether anything may be owed.
func (a *away) owing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.parts) > 0
}

// owed are the limits to whose counters something may be owed, one to a group.
func (a *away) owed() [][]limit.Check {
	a.mu.Lock()
	defer a.mu.Unlock()
	groups := make([][]limit.Check, 0, len(a.parts))
	for _, p := range a.parts {
		groups = append(groups, []limit.Check{p.whole})
	}
	return groups
}

// sweep drops what nothing is owed for any more, and quotas whose period is over, every so often: a look at all of them takes time. Needs a.mu.
func (a *away) sweep() {
	now := time.Now()
	if now.Sub(a.swept) < sweepPause {
		return
	}
	a.swept = now
	for counter, p := range a.parts {
		if a.over(&p.part) || a.local.Used(&p.part) == 0 {
			a.forget(counter)
		}
	}
	for counter, c := range a.given {
		if a.over(&c) {
			delete(a.given, counter)
		}
	}
}

// forget drops a counter of which nothing is owed. Needs a.mu.
func (a *away) forget(counter string) {
	a.local.Forget(counter)
	a.local.Forget(seenPrefix + counter)
	delete(a.parts, counter)
}

// over reports whether a check is of a quota for which nobody asks any more.
func (a *away) over(c *limit.Check) bool {
	return c.IsQuota() && a.clock.Now().After(c.Quota.Ends().Add(lateClocks))
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
	if p, ok := a.parts[counter]; ok {
		d.spent = a.local.Used(&p.part)
	}
	return d
}

// paid notes that a debt was settled; what came to it since it was told is still owed.
func (a *away) paid(counter string, d debt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p, ok := a.parts[counter]; ok && d.spent > 0 {
		back := p.part
		back.Cost = d.spent
		a.local.Give(context.Background(), []limit.Check{back})
		if a.local.Used(&p.part) == 0 {
			a.forget(counter)
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
