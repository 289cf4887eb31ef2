// Package feed makes changes known to every replica within two seconds. Whoever changes something that others keep in memory
// writes a row (kind, id) in the same transaction; each replica runs one [Feed], which reads the rows twice a second and tells
// its subscribers to drop what they keep.
//
// Numbers are taken before their transactions commit, so a row can appear behind one that was already read. The feed
// therefore reads again each time what it first saw within the last ten seconds and remembers which rows it has told; it goes by
// numbers and its own clock alone, so clocks of other replicas do not matter. A
// replica that could not read for two seconds is not fresh: those who ask [Feed.Fresh] read through to the database, or keep
// the last known state and refuse privileged work. When it has been away for longer than the window, subscribers are told to drop
// everything.
package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Change is one row of the feed.
type Change struct {
	Seq  int64
	Kind string
	ID   string
	At   time.Time
}

// Everything is the id with which subscribers of a kind are told to drop all they keep.
const Everything = ""

// Store reads the feed: the last number, 0 when there is none, and rows with a number above seq in order of number.
type Store interface {
	LastChange(ctx context.Context) (int64, error)
	ChangesAfter(ctx context.Context, seq int64, limit int) ([]Change, error)
	PruneChanges(ctx context.Context, before time.Time) (int64, error)
}

// The feed's times.
const (
	Every  = 500 * time.Millisecond // between two readings
	Stale  = 2 * time.Second        // without a reading, after which the feed is not fresh
	Window = 10 * time.Second       // that are read again, for transactions that commit late
	Keep   = time.Hour              // after which rows are pruned
	page   = 1000
	behind = 1000 // numbers before the last one from which a new reader starts
)

// Deps are what a [Feed] needs.
type Deps struct {
	Store  Store
	Clock  licensing.Clock
	Logger *slog.Logger
}

// Feed is one replica's reader. It is safe for concurrent use.
type Feed struct {
	Deps
	polling sync.Mutex // one reading at a time

	mu          sync.Mutex
	subscribers map[string][]func(ctx context.Context, id string)
	each        []func(ctx context.Context)
	told        map[int64]time.Time // rows above low that were told, by number, with the instant they were first seen
	low         int64               // rows up to this number are not read again
	started     bool
	polled      time.Time // when the last good reading began, by the injected clock
}

// New makes a Feed. Subscribe first, then [Feed.Run].
func New(d Deps) *Feed {
	return &Feed{Deps: d, subscribers: map[string][]func(context.Context, string){}, told: map[int64]time.Time{}}
}

// Subscribe has fn called with the id of every changed object of the kind, and with [Everything] when changes may have been
// missed. fn may read the database; it is called in the order of the changes, on the feed's goroutine, and so must not wait for
// the feed.
func (f *Feed) Subscribe(kind string, fn func(ctx context.Context, id string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers[kind] = append(f.subscribers[kind], fn)
}

// EachPoll has fn called after every good reading, for work that has to be tried again.
func (f *Feed) EachPoll(fn func(ctx context.Context)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.each = append(f.each, fn)
}

// Fresh reports whether the feed has read within the last two seconds, so that what is kept in memory may be believed.
func (f *Feed) Fresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.started {
		return false
	}
	gone := f.Clock.Now().Sub(f.polled)
	return gone >= -Stale && gone <= Stale
}

// Run reads twice a second until ctx ends. The first failure of a row of failures is logged.
func (f *Feed) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	failing := false
	for {
		one, cancel := context.WithTimeout(ctx, Stale)
		err := f.Poll(one)
		cancel()
		if err != nil && ctx.Err() == nil && !failing {
			f.Logger.WarnContext(ctx, "the change feed cannot be read; caches count as expired", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Poll reads once and tells the subscribers. Run calls it; so may a caller who cannot wait.
func (f *Feed) Poll(ctx context.Context) error {
	f.polling.Lock()
	defer f.polling.Unlock()
	now := f.Clock.Now()
	low, err := f.start(ctx)
	if err != nil {
		return err
	}
	rows, err := f.read(ctx, low)
	if err != nil {
		return err
	}
	fresh, missed := f.note(rows, low, now)
	if missed {
		f.everything(ctx)
	} else {
		for _, c := range fresh {
			f.tell(ctx, c.Kind, c.ID)
		}
	}
	f.mu.Lock()
	f.started, f.polled = true, now
	each := f.each
	f.mu.Unlock()
	for _, fn := range each {
		fn(ctx)
	}
	return nil
}

// start is the number from which to read: a little before the last one at the first reading.
func (f *Feed) start(ctx context.Context) (int64, error) {
	f.mu.Lock()
	low, started := f.low, f.started
	f.mu.Unlock()
	if started {
		return low, nil
	}
	last, err := f.Store.LastChange(ctx)
	return max(0, last-behind), err
}

func (f *Feed) read(ctx context.Context, after int64) ([]Change, error) {
	var out []Change
	for {
		rows, err := f.Store.ChangesAfter(ctx, after, page)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
		if len(rows) < page {
			return out, nil
		}
		after = rows[len(rows)-1].Seq
	}
}

// note remembers the rows and returns those that are new. missed reports that changes may have gone by unread.
func (f *Feed) note(rows []Change, low int64, now time.Time) (fresh []Change, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range rows {
		if _, known := f.told[c.Seq]; !known {
			f.told[c.Seq] = now
			fresh = append(fresh, c)
		}
	}
	f.low = low
	for seq, seen := range f.told {
		if gone := now.Sub(seen); gone > Window || gone < -Window {
			f.low = max(f.low, seq)
		}
	}
	for seq := range f.told {
		if seq <= f.low {
			delete(f.told, seq)
		}
	}
	return fresh, !f.started || now.Sub(f.polled) > Window
}

func (f *Feed) tell(ctx context.Context, kind, id string) {
	f.mu.Lock()
	fns := f.subscribers[kind]
	f.mu.Unlock()
	for _, fn := range fns {
		fn(ctx, id)
	}
}

func (f *Feed) everything(ctx context.Context) {
	f.mu.Lock()
	var kinds []string
	for kind := range f.subscribers {
		kinds = append(kinds, kind)
	}
	f.mu.Unlock()
	for _, kind := range kinds {
		f.tell(ctx, kind, Everything)
	}
}

// Prune removes rows that no replica reads any more. A job runs it every few minutes.
func (f *Feed) Prune(ctx context.Context) (int64, error) {
	return f.Store.PruneChanges(ctx, f.Clock.Now().Add(-Keep))
}
