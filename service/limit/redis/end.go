package redis

import (
	"context"
	"sync"
	"time"
)

// ends are contexts that end after a while, as those of [context.WithTimeout], and serve one batch after another: making one each time takes
// longer than much of what a batch does.
type ends struct{ free sync.Pool }

// end is one of them. It is nobody's before within and after done.
type end struct {
	context.Context
	at    time.Time
	over  chan struct{}
	timer *time.Timer
}

// within returns a context that ends after d. Whoever asked for it calls done when nobody uses it any more.
func (e *ends) within(d time.Duration) *end {
	c, ok := e.free.Get().(*end)
	if !ok {
		c = &end{Context: context.Background(), over: make(chan struct{})}
		c.at = time.Now().Add(d)
		c.timer = time.AfterFunc(d, func() { close(c.over) })
		return c
	}
	c.at = time.Now().Add(d)
	c.timer.Reset(d)
	return c
}

// done keeps the context for the next one, unless it has ended.
func (e *ends) done(c *end) {
	if c.timer.Stop() {
		e.free.Put(c)
	}
}

// Deadline implements [context.Context].
func (c *end) Deadline() (time.Time, bool) { return c.at, true }

// Done implements [context.Context].
func (c *end) Done() <-chan struct{} { return c.over }

// Err implements [context.Context].
func (c *end) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
