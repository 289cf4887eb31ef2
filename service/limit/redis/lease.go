package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

const (
	// leaseShare is which part of a lease_only limit a replica takes up front.
	leaseShare = 16
	// maxLease is the largest lease.
	maxLease = 1000
	// maxLeases is how many counters have one.
	maxLeases = 1 << 16
)

// leases are tokens that were taken up front, for the time in which there are no counters. They are spent once: a process that dies
// wastes them, and never admits more for it.
type leases struct {
	mu sync.Mutex
	of map[string]*lease
}

type lease struct {
	tokens  int64
	filling bool
	check   limit.Check // one unit of the counter
}

// size is how many tokens a lease of the limit holds.
func size(c *limit.Check) int64 {
	most := c.Rate.Burst
	if c.IsQuota() {
		most = c.Quota.Most
	}
	return min(most/leaseShare, maxLease)
}

// fill reports how much to take up front for a counter of which remaining units are left: once a lease is half spent, as long as
// there is plenty. Whoever is told more than nothing must call filled.
func (l *leases) fill(counter string, c *limit.Check, remaining int64) int64 {
	n := size(c)
	if n == 0 || remaining < 4*n {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*lease{}
	}
	have := l.of[counter]
	if have == nil {
		if len(l.of) >= maxLeases {
			clear(l.of) // most are of periods that are over, or of keys that nobody uses
		}
		have = &lease{check: *c}
		have.check.Cost = 1
		l.of[counter] = have
	}
	if have.filling || have.tokens > n/2 {
		return 0
	}
	have.filling = true
	return n - have.tokens
}

// filled adds what was taken.
func (l *leases) filled(counter string, tokens int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.of[counter]; have != nil {
		have.filling = false
		have.tokens += tokens
	}
}

// spend takes the checks' costs from their leases: all, or none and false.
func (l *leases) spend(checks []limit.Check) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range checks {
		have := l.of[limit.Counter(&checks[i])]
		if have == nil || have.tokens < checks[i].Cost {
			l.back(checks[:i])
			return false
		}
		have.tokens -= checks[i].Cost
	}
	return true
}

// put gives back to leases what was spent.
func (l *leases) put(checks []limit.Check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back(checks)
}

func (l *leases) back(checks []limit.Check) {
	for i := range checks {
		if have := l.of[limit.Counter(&checks[i])]; have != nil {
			have.tokens += checks[i].Cost
		}
	}
}

func (l *leases) left(counter string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.of[counter]; have != nil {
		return have.tokens
	}
	return 0
}

// quota is what is left of the lease of one quota.
func (l *leases) quota(counter string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.of[counter]; have != nil && have.check.IsQuota() {
		return have.tokens
	}
	return 0
}

// quotas is what is left of leases of quotas.
func (l *leases) quotas() (held []limit.Spent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for counter, have := range l.of {
		if have.check.IsQuota() && have.tokens > 0 {
			held = append(held, limit.Spent{Counter: counter, Used: have.tokens, Until: have.check.Quota.Ends()})
		}
	}
	return held
}

// rest empties the leases and returns what is left of them.
func (l *leases) rest() []limit.Check {
	l.mu.Lock()
	defer l.mu.Unlock()
	var units []limit.Check
	for _, have := range l.of {
		if have.tokens > 0 {
			have.check.Cost = have.tokens
			units = append(units, have.check)
		}
	}
	l.of = nil
	return units
}

// lease takes up front what the lease_only limits of an admitted group want.
func (l *Limiter) lease(g *group, results []limit.Result) {
	if slices.ContainsFunc(results, func(r limit.Result) bool { return !r.Allowed }) {
		return
	}
	for i := range g.checks {
		c := g.checks[i]
		if c.Degraded != apikey.LeaseOnly {
			continue
		}
		if c.Cost = l.leases.fill(g.counters[i], &c, results[i].Remaining); c.Cost == 0 {
			continue
		}
		l.background.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			taken := int64(0)
			out, err := l.Decide(ctx, [][]limit.Check{{c}}, func(string) (int64, bool) { return 0, false })
			if err == nil && out[0] != nil && out[0][0].Allowed && !out[0][0].Degraded {
				taken = c.Cost
			}
			l.leases.filled(limit.Counter(&c), taken)
		})
	}
}
