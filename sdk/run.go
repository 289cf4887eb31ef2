package sdk

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/spool"
)

// EventKind names what Run noticed.
type EventKind string

// What Run reports.
const (
	ExpiringSoon  EventKind = "expiring_soon"  // the license ends soon
	Expired       EventKind = "expired"        // the license has ended, or is in its grace time
	Revoked       EventKind = "revoked"        // the license was revoked or suspended
	SeatLost      EventKind = "seat_lost"      // the activation holds no seat any more
	ClockRollback EventKind = "clock_rollback" // the clock was set back
	OutOfContact  EventKind = "out_of_contact" // the server should have been reached and was not
	Denied        EventKind = "denied"         // it is not allowed for another reason
	Recovered     EventKind = "recovered"      // it was not allowed and is again
)

// Event is a change that Run noticed.
type Event struct {
	Kind     EventKind
	Decision eval.Decision
}

// lookEvery is how often, in seconds, Run looks at the clock, which a sleeping
// machine's timers do not follow.
const lookEvery = 30

// Run keeps the license current until ctx ends or the client is closed: it
// checks it whenever contact is due or the answer may change, and fetches the
// signing keys daily, a little later than due so that many devices do not come
// at once, and usage that was reported, about once a minute. It reports changes on events, which may be nil, and never waits for
// a reader: an event that finds the channel full is dropped. Run it in a
// goroutine of your own; it returns ctx's error or ErrClosed.
func (c *Client) Run(ctx context.Context, events chan<- Event) error {
	var last Event
	var sending sender
	next, keysAt, keysFailed := int64(0), c.now()+jitter(refreshKeys), 0
	asked := c.now()
	for first := true; ; first = false {
		changed := c.changed()
		if now := c.now(); now >= next || now < asked {
			d, err := c.Check(ctx)
			if err != nil && c.closed.Load() {
				return ErrClosed
			}
			if err != nil {
				c.log.Warn("license could not be checked", "error", err)
			} else {
				kind := c.kindOf(&d)
				report(events, Event{kind, d}, last, first)
				last = Event{kind, d}
			}
			asked, next = now, c.nextCheck(now, d.RecheckAt)
		}
		if now := c.now(); (now >= keysAt || now < keysAt-refreshKeys) && !c.failing() {
			if err := c.Refresh(ctx); err != nil {
				c.log.Warn("signing keys could not be fetched", "error", err)
				keysAt, keysFailed = now+backoff(keysFailed), keysFailed+1
			} else {
				keysAt, keysFailed = now+jitter(refreshKeys), 0
			}
		}
		sending.tick(ctx, c)
		timer := time.NewTimer(lookEvery * time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-c.life.Done():
			timer.Stop()
			return ErrClosed
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// failing reports whether the last contact failed. Keys are not fetched then: were the one revoked that signed the license at hand, the
// product would be refused until the server gives a new one.
func (c *Client) failing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fails > 0
}

// sendEvery is how often, in seconds, usage is sent.
const sendEvery = 60

// sender sends usage for Run, with growing waits while that fails.
type sender struct {
	at, tried int64
	fails     int
}

func (s *sender) tick(ctx context.Context, c *Client) {
	now := c.now()
	if s.at == 0 {
		s.at, s.tried = now+jitter(sendEvery), now
	}
	if now < s.at && now >= s.tried || !c.hasUsage() {
		return
	}
	err := c.Flush(ctx)
	now = c.now()
	s.tried = now
	if err == nil || errors.Is(err, spool.ErrBusy) {
		s.at, s.fails = now+jitter(sendEvery), 0
		return
	}
	c.log.Warn("usage could not be sent; it is kept", "error", err)
	s.at = now + backoff(s.fails)
	var p *Problem
	if errors.As(err, &p) {
		s.at = max(s.at, now+p.pause())
	}
	s.fails++
}

// changed returns a channel that tells of a jump of a clock that is set by
// hand, or nil.
func (c *Client) changed() <-chan struct{} {
	if k, ok := c.clock.(interface{ Changed() <-chan struct{} }); ok {
		return k.Changed()
	}
	return nil
}

// nextCheck returns when to check again: when contact is due, with some delay,
// or when the answer may change.
func (c *Client) nextCheck(now, change int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := now + refreshKeys
	if change > now {
		next = min(next, change)
	}
	if c.state == nil {
		return min(next, now+lookEvery)
	}
	if c.lease != nil && c.lease.RecheckAt > now {
		wait := c.lease.RecheckAt - now
		next = min(next, c.lease.RecheckAt+max(0, wait/10-jitter(wait/10)))
	}
	if at := c.tokenAt(now); at > now {
		next = min(next, at)
	}
	if c.due(now) {
		next = min(next, max(c.retryAt, now+1))
	}
	return next
}

// report tells of the change from what was to what is.
func report(events chan<- Event, is, was Event, first bool) {
	switch {
	case !first && is.Decision.Allowed && !was.Decision.Allowed:
		is.Kind = Recovered
	case is.Kind == "", !first && is.Kind == was.Kind && is.Decision.Allowed == was.Decision.Allowed:
		return
	}
	select {
	case events <- is:
	default:
	}
}

// kindOf says what a decision is about, or "" when all is well.
func (c *Client) kindOf(d *eval.Decision) EventKind {
	switch d.Code {
	case eval.Valid:
		return ""
	case eval.ExpiringSoon:
		return ExpiringSoon
	case eval.Expired:
		return Expired
	case eval.Revoked, eval.Suspended, eval.NotFound:
		return Revoked
	case eval.ClockRollback:
		return ClockRollback
	case eval.ActivationRequired, eval.ActivationReleased, eval.TooManySeats:
		return SeatLost
	case eval.LeaseStale, eval.LeaseExpired, eval.StatusStale:
		return OutOfContact
	case eval.InGrace: // of the license, or of the lease
		if l := c.License(); l != nil && l.ValidUntil != 0 && c.now() >= l.ValidUntil {
			return Expired
		}
		return OutOfContact
	}
	return Denied
}
