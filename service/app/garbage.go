package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	garbageRoom = 64 << 20 // bytes of garbage that may gather however little is live
	leastLive   = 4 << 20  // bytes for which the runtime takes a heap that holds less
	percentStep = 10       // a change of the percentage by less is not worth stopping for
)

// RoomForGarbage lets garbage gather up to 64 MiB before it is collected; where more than that is live, up to as much as is live, as everywhere in Go.
// With the few MiB that are live in a service the runtime collects many times a second under load, which took an eighth of its processor time where licenses were issued one by one; the
// memory stays bounded. Whoever sets GOGC or GOMEMLIMIT decides himself, and nothing is done. It is for the process and not for an App, of which a
// process may have several. stop leaves the runtime as it was.
func RoomForGarbage() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	r := &room{percent: garbagePercent(0)}
	was := debug.SetGCPercent(r.percent)
	(&cycle{r}).wait()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = true
		debug.SetGCPercent(was)
	}
}

// garbagePercent is how much garbage may gather beside so many live bytes, as a percentage of those.
func garbagePercent(live uint64) int {
	return int(max(100, garbageRoom*100/max(live, leastLive)))
}

// room is what all cycles share.
type room struct {
	mu      sync.Mutex
	percent int
	over    bool
}

// cycle is garbage itself, found by the collection that ends it.
type cycle struct{ *room }

func (c *cycle) wait() { runtime.SetFinalizer(c, (*cycle).end) }

func (c *cycle) end() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if to := garbagePercent(live[0].Value.Uint64()); to <= c.percent-percentStep || to >= c.percent+percentStep || to == 100 && c.percent != to {
		c.percent = to
		debug.SetGCPercent(to)
	}
	c.wait()
}
