// Package killswitch holds the nine switches with which staff stop a part of the shop: payments, downloads, licensing,
// referrals, ai, support, signup, api and ads, each for everything or for one product.
//
// A switch is a row; [Reader] keeps all of them in memory, is told of changes by the change feed, and answers
// [Reader.Check] without I/O. A replica that cannot read the database goes on with the switches as last known; one that has never
// read them refuses everything that has a switch. [Service.Flip] is audited, needs a reason, and never sits behind a switch
// itself, so that what was pressed can be released.
package killswitch

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// State is one switch that was ever flipped. Product "" is for all products. Until is when a switch that is off comes on by
// itself, nil when it stays.
type State struct {
	Switch  licensing.Switch
	Product string
	Off     bool
	Reason  string
	Actor   string
	At      time.Time
	Until   *time.Time
	Version int64
}

// IsOff reports whether the switch is off at an instant.
func (s State) IsOff(at time.Time) bool { return s.Off && (s.Until == nil || at.Before(*s.Until)) }

// Store keeps the switches. FlipSwitch writes the change feed.
type Store interface {
	Switches(ctx context.Context) ([]State, error)
	FlipSwitch(ctx context.Context, s State) (State, error)
}

// Feed tells of changes. The change feed implements it.
type Feed interface {
	Subscribe(kind string, fn func(ctx context.Context, id string))
	EachPoll(fn func(ctx context.Context))
}

// ReaderDeps are what a [Reader] needs.
type ReaderDeps struct {
	Store  Store
	Feed   Feed
	Clock  licensing.Clock
	Logger *slog.Logger
}

// Reader answers from memory. It is safe for concurrent use.
type Reader struct {
	ReaderDeps
	known  atomic.Pointer[map[place]State]
	behind atomic.Bool // a change was told that could not be read yet
}

type place struct {
	name    licensing.Switch
	product string
}

var _ licensing.Switches = (*Reader)(nil)

// ChangeKind is the kind of a switch's row in the change feed.
const ChangeKind = "kill_switch"

// NewReader makes a Reader that the feed keeps up to date from its first reading on. Call [Reader.Load] at the start for
// switches that survive a restart from the first request on.
func NewReader(d ReaderDeps) *Reader {
	r := &Reader{ReaderDeps: d}
	d.Feed.Subscribe(ChangeKind, func(ctx context.Context, _ string) {
		if err := r.Load(ctx); err != nil && ctx.Err() == nil {
			r.behind.Store(true)
			r.Logger.ErrorContext(ctx, "the kill switches cannot be read; going on as last known", "error", err)
		}
	})
	d.Feed.EachPoll(func(ctx context.Context) {
		if r.behind.Load() {
			_ = r.Load(ctx) // tried again at the next reading
		}
	})
	return r
}

// Load reads the switches. When it fails, what was known stays.
func (r *Reader) Load(ctx context.Context) error {
	states, err := r.Store.Switches(ctx)
	if err != nil {
		return err
	}
	known := make(map[place]State, len(states))
	for _, s := range states {
		known[place{s.Switch, s.Product}] = s
	}
	r.known.Store(&known)
	r.behind.Store(false)
	return nil
}

// Check implements [licensing.Switches].
func (r *Reader) Check(_ context.Context, s licensing.Switch, product string) error {
	known := r.known.Load()
	if known == nil {
		return errUnknown
	}
	if len(*known) == 0 {
		return nil
	}
	now := r.Clock.Now()
	for _, p := range []place{{s, ""}, {s, product}} {
		if state, ok := (*known)[p]; ok && state.IsOff(now) {
			return off(state, now)
		}
	}
	return nil
}

// CheckProduct is [Reader.Check] for the press on one product alone, whatever is off for all: for work that a global press lets go on.
func (r *Reader) CheckProduct(_ context.Context, s licensing.Switch, product string) error {
	known := r.known.Load()
	if known == nil {
		return errUnknown
	}
	if len(*known) == 0 || product == "" {
		return nil
	}
	if now := r.Clock.Now(); (*known)[place{s, product}].IsOff(now) {
		return off((*known)[place{s, product}], now)
	}
	return nil
}

// errUnknown answers while the switches have never been read.
var errUnknown = licensing.Fail(licensing.Unavailable, "switched-off", "The service is starting. Try again in a moment.").After(time.Second)

// retry is what callers are told when nobody knows when a switch comes on again.
const retry = 5 * time.Minute

func off(s State, now time.Time) error {
	after := retry
	if s.Until != nil {
		after = min(max(s.Until.Sub(now), time.Second), time.Hour)
	}
	return licensing.Fail(licensing.Unavailable, "switched-off", "%s switched off at the moment. Try again later.", subject(s)).After(after)
}

// subject is how the public text names a switch.
func subject(s State) string {
	names := map[licensing.Switch]string{
		licensing.SwitchPayments: "Payments are", licensing.SwitchDownloads: "Downloads are", licensing.SwitchLicensing: "Licensing is",
		licensing.SwitchReferrals: "Referrals are", licensing.SwitchAI: "The assistant is", licensing.SwitchSupport: "Support tickets are",
		licensing.SwitchSignup: "Signing up is", licensing.SwitchAPI: "The API is", licensing.SwitchAds: "Ads are",
	}
	return names[s.Switch]
}

// valid reports whether s is one of the nine.
func valid(s licensing.Switch) bool { return slices.Contains(licensing.AllSwitches(), s) }

// Off lists the switches that are off, from memory: those for all products first.
func (r *Reader) Off() []State {
	known := r.known.Load()
	if known == nil {
		return nil
	}
	now := r.Clock.Now()
	var out []State
	for _, s := range *known {
		if s.IsOff(now) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b State) int {
		return cmp.Or(strings.Compare(a.Product, b.Product), strings.Compare(string(a.Switch), string(b.Switch)))
	})
	return out
}
