package redis

import (
	"context"
	"slices"
	"sync"

	"github.com/mintreu/mintreu/service/limit"
)

// call is one caller's groups on their way through the combiner.
type call struct {
	groups  []group
	checks  int
	known   limit.Known
	results [][]limit.Result
	// ready tells a waiting caller that his results are there (nil), or that he leads the calls it holds, his own first.
	ready chan []*call
}

// combiner lets one batch be under way at a time, and gathers those who come meanwhile.
type combiner struct {
	mu    sync.Mutex
	busy  bool
	queue []*call
}

// do returns when c has its results. One batch is under way at a time: who finds none runs his own call, who finds one
// waits, and when it ends the first of those who wait leads all of them. A caller who gives up while he waits spends nothing; one
// who is under way already gets his results, which the budget bounds.
func (b *combiner) do(ctx context.Context, c *call, run func([]*call)) error {
	b.mu.Lock()
	if !b.busy {
		b.busy = true
		b.mu.Unlock()
		b.lead([]*call{c}, run)
		return nil
	}
	b.queue = append(b.queue, c)
	b.mu.Unlock()
	select {
	case led := <-c.ready:
		if led != nil {
			b.lead(led, run)
		}
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	if i := slices.Index(b.queue, c); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.mu.Unlock()
		return ctx.Err()
	}
	b.mu.Unlock()
	if led := <-c.ready; led != nil {
		b.lead(led, run)
	}
	return nil
}

// lead runs a batch, tells its callers, and hands the lead to the first of those who came meanwhile.
func (b *combiner) lead(calls []*call, run func([]*call)) {
	run(calls)
	for _, c := range calls[1:] {
		c.ready <- nil
	}
	b.mu.Lock()
	if len(b.queue) == 0 {
		b.busy = false
		b.mu.Unlock()
		return
	}
	n, checks := 0, 0
	for n < len(b.queue) && (n == 0 || checks+b.queue[n].checks <= maxBatch) {
		checks += b.queue[n].checks
		n++
	}
	next := slices.Clone(b.queue[:n])
	b.queue = slices.Delete(b.queue, 0, n)
	b.mu.Unlock()
	next[0].ready <- next
}

func (b *combiner) isBusy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.busy
}

// Busy reports whether a batch is under way.
func (l *Limiter) Busy() bool {
	return slices.ContainsFunc(l.combiners, func(b *combiner) bool { return b.isBusy() })
}
