package sdk

import (
	"sync/atomic"
	"time"
)

// Clock tells the time. Replace it in tests; sdktest has one that can be set.
type Clock interface {
	Now() time.Time
}

// coarse is the default clock. Reading its seconds costs one atomic load; they
// are refreshed once a second from wall time, which, other than a monotonic
// clock, goes on while the machine sleeps.
type coarse struct {
	unix atomic.Int64
	stop chan struct{}
	done chan struct{}
}

func newCoarse() *coarse {
	c := &coarse{stop: make(chan struct{}), done: make(chan struct{})}
	c.unix.Store(time.Now().Unix())
	go func() {
		defer close(c.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				c.unix.Store(time.Now().Unix())
			}
		}
	}()
	return c
}

// Now returns the exact time.
func (*coarse) Now() time.Time { return time.Now() }

func (c *coarse) close() {
	close(c.stop)
	<-c.done
}

// tolerance is how far, in seconds, the clock may run behind what has been seen
// before that counts as set back.
const tolerance = 5 * 60

// marks are the highest instants seen, kept in the state. Signed comes from
// signed documents and never falls. Own comes from the product's own runs; a
// fresh signed document sets it to the server's time, so that a clock that was
// ahead for a while does not lock the product out for as long.
type marks struct {
	Signed int64 `json:"signed"`
	Own    int64 `json:"own"`
}

// high is the latest instant that has surely passed.
func (m *marks) high() int64 { return max(m.Signed, m.Own) }

// rolledBack reports whether the clock was set back.
func (m *marks) rolledBack(now int64) bool { return now < m.high()-tolerance }

// ran notes that the product runs at an instant.
func (m *marks) ran(now int64) { m.Own = max(m.Own, now) }

// saw notes the issue of a verified document.
func (m *marks) saw(iat int64) { m.Signed = max(m.Signed, iat) }

// contact notes a document that the server signed just now.
func (m *marks) contact(iat int64) {
	m.saw(iat)
	m.Own = iat
}
