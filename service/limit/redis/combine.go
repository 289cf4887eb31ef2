package redis

import (
	"context"
	"slices"

	"github.com/mintreu/mintreu/service/limit"
)

// call is one caller's groups on their way through the combiner.
type call struct {
	groups  [][]limit.Check
	checks  int
	results [][]limit.Result
	// ready tells a waiting caller that his results are there (nil), or that he leads the calls it holds, his own first.
	ready chan []*call
}

// combine returns when c has its results. One batch is under way at a time: who finds none runs his own call, who finds one
// waits, and when it ends the first of those who wait leads all of them. A caller who gives up while he waits spends nothing; one
// who is under way already gets his results, which the budget bounds.
func (l *Limiter) combine(ctx context.Context, c *call) error {
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		l.lead([]*call{c})
		return nil
	}
	l.queue = append(l.queue, c)
	l.mu.Unlock()
	select {
	case led := <-c.ready:
		if led != nil {
			l.lead(led)
		}
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	if i := slices.Index(l.queue, c); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.mu.Unlock()
		return ctx.Err()
	}
	l.mu.Unlock()
	if led := <-c.ready; led != nil {
		l.lead(led)
	}
	return nil
}

// lead runs a batch, tells its callers, and hands the lead to the first of those who came meanwhile.
func (l *Limiter) lead(calls []*call) {
	l.run(calls)
	for _, c := range calls[1:] {
		c.ready <- nil
	}
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.busy = false
		l.mu.Unlock()
		return
	}
	n, checks := 0, 0
	for n < len(l.queue) && (n == 0 || checks+l.queue[n].checks <= maxBatch) {
		checks += l.queue[n].checks
		n++
	}
	next := slices.Clone(l.queue[:n])
	l.queue = slices.Delete(l.queue, 0, n)
	l.mu.Unlock()
	next[0].ready <- next
}

// Busy reports whether a batch is under way.
func (l *Limiter) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}
