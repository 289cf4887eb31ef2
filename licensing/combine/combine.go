// Package combine lets callers who come at the same time share one piece of work, such as a transaction or a trip to a server: a caller who
// finds a lane free goes at once; while all lanes are taken, callers gather, and when one becomes free the first of them leads the others.
// Nobody waits for company, so one caller alone is as fast as without.
package combine

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrBroken answers those whose leader panicked. What became of their work nobody can say.
var ErrBroken = errors.New("combine: the work that several calls shared was broken off")

// Work is how a caller who leads does what is asked for. All callers of one [Group] say the same but for Run, which may be of the leader.
type Work[T any] struct {
	// Lanes is how many batches may be under way at once.
	Lanes int
	// Most bounds the size of a batch. One that is larger by itself goes alone.
	Most int
	// Size is the size of an item; nil means one each.
	Size func(T) int
	// Run does the work of a batch, first in first out, and leaves the outcome in the items.
	Run func(batch []T)
}

// Group gathers callers. The zero value is ready; it is safe for concurrent use.
type Group[T any] struct {
	mu    sync.Mutex
	taken int // lanes
	queue []*seat[T]
}

// seat is one caller's place.
type seat[T any] struct {
	item   T
	broken bool
	// ready tells a waiting caller that his item is dealt with (nil), or that he leads those it holds, his own first.
	ready chan []*seat[T]
}

// Do returns when item was in a batch that has run. Whoever gives up before his turn has asked for nothing and gets the cause; one who is
// under way already waits for the end. When the leader panics, so does his own call, and those of the others answer [ErrBroken].
func (g *Group[T]) Do(ctx context.Context, w *Work[T], item T) error {
	s := &seat[T]{item: item}
	g.mu.Lock()
	if g.taken < w.Lanes {
		g.taken++
		g.mu.Unlock()
		g.lead(w, []*seat[T]{s})
		return nil
	}
	s.ready = make(chan []*seat[T], 1)
	g.queue = append(g.queue, s)
	g.mu.Unlock()
	select {
	case led := <-s.ready:
		return g.turn(w, s, led)
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.queue, s); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
		g.mu.Unlock()
		return context.Cause(ctx)
	}
	g.mu.Unlock()
	return g.turn(w, s, <-s.ready)
}

// turn leads those who are led by s, if any.
func (g *Group[T]) turn(w *Work[T], s *seat[T], led []*seat[T]) error {
	if led != nil {
		g.lead(w, led)
	}
	if s.broken {
		return ErrBroken
	}
	return nil
}

// lead runs a batch, tells the others, and hands the lane to the first of those who came meanwhile, whatever happens.
func (g *Group[T]) lead(w *Work[T], led []*seat[T]) {
	done := false
	defer func() {
		for _, s := range led[1:] {
			s.broken = !done
			s.ready <- nil
		}
		g.pass(w)
	}()
	batch := make([]T, len(led))
	for i, s := range led {
		batch[i] = s.item
	}
	w.Run(batch)
	done = true
}

// pass hands the lane to the first of those who wait.
func (g *Group[T]) pass(w *Work[T]) {
	g.mu.Lock()
	n, sum := 0, 0
	for n < len(g.queue) {
		size := 1
		if w.Size != nil {
			size = w.Size(g.queue[n].item)
		}
		if sum += size; n > 0 && sum > w.Most {
			break
		}
		n++
	}
	if n == 0 {
		g.taken--
		g.mu.Unlock()
		return
	}
	next := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.mu.Unlock()
	next[0].ready <- next
}

// Waiting is how many callers gather for the next batch.
func (g *Group[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// Busy reports whether a batch is under way.
func (g *Group[T]) Busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken > 0
}
