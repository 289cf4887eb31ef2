package sdk

import (
	"context"
	"math"
	"slices"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// snapshot is the outcome of a decision for every feature, good within a span
// of time, with what it was decided on. It is never changed.
type snapshot struct {
	from  int64 // before: the clock was set back
	until int64 // from then on the answer may differ; 0: never
	ent   map[string]doc.Value
	facts *facts
}

// Unlimited is the limit of a feature that is granted without a number.
const Unlimited = math.MaxInt64

// Allowed reports whether the license grants a feature now. It never calls the
// server, takes no lock and allocates nothing as long as nothing changes; call
// it as often as you like. Without a license the answer is no. Check keeps the
// answer up to date.
func (c *Client) Allowed(feature string) bool {
	_, ok := c.current().ent[feature]
	return ok
}

// Limit returns the number that the license grants of a feature, Unlimited if
// it grants the feature without a number, and 0 if it does not grant it.
func (c *Client) Limit(feature string) int64 {
	v, ok := c.current().ent[feature]
	if !ok {
		return 0
	}
	if n, ok := v.Int(); ok {
		return n
	}
	return Unlimited
}

// Text returns the text that the license grants for a feature, such as the name
// of a tier, or "".
func (c *Client) Text(feature string) string {
	s, _ := c.current().ent[feature].Text()
	return s
}

// coarseNow returns the time in seconds, cheaply.
func (c *Client) coarseNow() int64 {
	if c.ticking != nil {
		return c.ticking.unix.Load()
	}
	return c.clock.Now().Unix()
}

// current returns a snapshot that is good now.
func (c *Client) current() *snapshot {
	s, now := c.snap.Load(), c.coarseNow()
	if s != nil && now >= s.from && (s.until == 0 || now < s.until) {
		return s
	}
	return c.outdated()
}

// outdated makes a new snapshot of the same facts. Only the first one has to
// wait for the state to be read, and none for a contact under way.
func (c *Client) outdated() *snapshot {
	now := c.clock.Now().Unix()
	if old := c.snap.Load(); old != nil {
		s := decided(old.facts, now)
		c.snap.CompareAndSwap(old, s)
		return s
	}
	select {
	case <-c.ready: // another has read the state, and may be in contact
		return c.current()
	case c.mu <- struct{}{}:
	}
	defer c.mu.Unlock()
	if err := c.loaded(context.Background()); err != nil {
		return new(snapshot)
	}
	return c.publish(now)
}

// publish makes the facts at hand what Allowed decides on. Needs c.mu.
func (c *Client) publish(now int64) *snapshot {
	f, err := c.facts()
	if err != nil {
		f = nil
	}
	s := decided(f, now)
	if !c.closed.Load() && c.snap.Swap(s) == nil {
		close(c.ready)
	}
	return s
}

// decided evaluates the facts at an instant; without facts nothing is granted.
func decided(f *facts, now int64) *snapshot {
	s := &snapshot{facts: f}
	if f == nil {
		return s
	}
	s.from = f.marks.high() - tolerance
	d := f.decide(now, "", 0)
	s.until = d.RecheckAt
	if d.Allowed && f.in.License != nil {
		s.grant(f.in.License, f.in.Lease, d.Mode, now)
	}
	if now < s.from { // set back: whatever comes, look again
		s.from, s.until = now, now+1
	}
	return s
}

// grant fills in the entitlements in force at an instant.
func (s *snapshot) grant(lic *doc.License, lease *doc.Lease, mode string, now int64) {
	ent, until := eval.Entitlements(lic, lease)
	s.ent = make(map[string]doc.Value, len(ent))
	for code, v := range ent {
		if mode == eval.ModeDegraded && !slices.Contains(lic.Pol.Keep, code) {
			continue
		}
		end, ends := until[code]
		if ends && now >= end {
			continue
		}
		if ends && (s.until == 0 || end < s.until) {
			s.until = end
		}
		s.ent[code] = v
	}
}
