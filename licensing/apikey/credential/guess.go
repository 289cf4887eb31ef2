package credential

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// How often one address may ask for texts that do not exist: a hundred at once, then ten a second. A text without the right checksum
// does not count, and one that was asked for a moment ago neither, since both cost nothing.
const (
	guessBurst    = 100
	guessInterval = 100 * time.Millisecond
	maxGuessers   = 50_000
)

// ErrGuessing refuses to look up a text for an address that has guessed too much.
var ErrGuessing = licensing.Fail(licensing.TooMany, "too-many-attempts", "Too many keys that do not exist were tried from this address. Wait a little, and try again.")

// Guessed is how long to wait after [ErrGuessing], 0 for every other error.
func Guessed(err error) time.Duration {
	var told *licensing.Error
	if errors.As(err, &told) && told.Code == ErrGuessing.Code {
		return told.RetryAfter
	}
	return 0
}

// Guesses counts, by address, the texts that were looked up and not found, an IPv6 address by its /64. Nothing is counted without one: a back end that asks for others is trusted.
// It is safe for concurrent use and holds [maxGuessers] addresses at most.
type Guesses struct {
	clock licensing.Clock
	mu    sync.Mutex
	full  map[netip.Prefix]time.Time // by address, when its burst is whole again
}

// NewGuesses makes Guesses that nobody has made yet.
func NewGuesses(clock licensing.Clock) *Guesses {
	return &Guesses{clock: clock, full: map[netip.Prefix]time.Time{}}
}

func guesser(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	p, _ := from.Prefix(bits) // an address without one is the zero prefix
	return p
}

// Wait is how long an address must wait before it may ask again, 0 when it need not.
func (g *Guesses) Wait(from netip.Addr) time.Duration {
	if !from.IsValid() {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	full, known := g.full[guesser(from)]
	if !known {
		return 0
	}
	return max(0, full.Sub(g.clock.Now())-(guessBurst-1)*guessInterval)
}

// Count spends one guess of an address.
func (g *Guesses) Count(from netip.Addr) {
	if !from.IsValid() {
		return
	}
	now, who := g.clock.Now(), guesser(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	at, known := g.full[who]
	if !known && len(g.full) >= maxGuessers {
		g.sweep(now)
	}
	if at.Before(now) {
		at = now
	}
	g.full[who] = at.Add(guessInterval)
}

// sweep makes room: it drops who has waited long enough and, if all still wait, anybody.
func (g *Guesses) sweep(now time.Time) {
	for who, at := range g.full {
		if !at.After(now) {
			delete(g.full, who)
		}
	}
	for who := range g.full {
		if len(g.full) < maxGuessers {
			return
		}
		delete(g.full, who)
	}
}
