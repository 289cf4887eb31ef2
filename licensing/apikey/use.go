package apikey

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// UseStore keeps when keys were last used.
type UseStore interface {
	// TouchKeys stores the instants, and leaves later ones that are there.
	TouchKeys(ctx context.Context, at map[string]time.Time) error
}

// Misuse is a good key that was presented for what it does not open.
type Misuse struct {
	KeyID   string
	Product string
	Code    Code
}

// traces gather what verification leaves behind, so that it costs no write of its own: when a key was last used, to the minute, and once
// an hour and process that it was presented for what it does not open. Safe for concurrent use.
type traces struct {
	mu     sync.Mutex
	used   map[string]time.Time
	misuse map[misused]struct{}
	// told are those that were written down, of this hour and the one before.
	told map[misused]struct{}
}

// misused is a misuse in an hour since 1970, the one in which it took place, whenever it is written down.
type misused struct {
	Misuse
	hour int64
}

// fresh drops from misuse what was written down already; written adds to it.
func (t *traces) fresh(misuse map[misused]struct{}, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m := range t.told {
		if delete(misuse, m); m.hour < now.Unix()/3600-1 {
			delete(t.told, m)
		}
	}
}

func (t *traces) written(misuse []misused) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == nil {
		t.told = map[misused]struct{}{}
	}
	for _, m := range misuse {
		t.told[m] = struct{}{}
	}
}

// trail is where a cached record remembers what was noted of it, so that most verifications take no lock. It goes with the record.
type trail struct {
	minute, scope, address atomic.Int64
}

// first reports whether the unit of time n is another than the one that was noted, and notes it.
func first(noted *atomic.Int64, n int64) bool {
	old := noted.Load()
	return old != n && noted.CompareAndSwap(old, n)
}

// note leaves a trace of one answer about a record.
func (s *Service) note(rec *Record, code Code, now time.Time) {
	if rec.trail == nil {
		return
	}
	switch code {
	case Valid:
		if first(&rec.trail.minute, now.Unix()/60) {
			s.traces.mu.Lock()
			defer s.traces.mu.Unlock()
			if s.traces.used == nil {
				s.traces.used = map[string]time.Time{}
			}
			s.traces.used[rec.Key.ID] = now
		}
	case InsufficientScope, ForbiddenIP:
		noted := &rec.trail.scope
		if code == ForbiddenIP {
			noted = &rec.trail.address
		}
		if hour := now.Unix() / 3600; first(noted, hour) {
			s.traces.mu.Lock()
			defer s.traces.mu.Unlock()
			if s.traces.misuse == nil {
				s.traces.misuse = map[misused]struct{}{}
			}
			s.traces.misuse[misused{Misuse{rec.Key.ID, rec.Key.ProductID, code}, hour}] = struct{}{}
		}
	}
}

// Flush writes down what verification left since the last call: last uses, and an audit event "key.misuse" for each key that was presented
// for what it does not open, once an hour. What cannot be written is kept for the next call. A process that is killed loses what it had not written.
func (s *Service) Flush(ctx context.Context) error {
	s.traces.mu.Lock()
	used, misuse := s.traces.used, s.traces.misuse
	s.traces.used, s.traces.misuse = nil, nil
	s.traces.mu.Unlock()
	s.traces.fresh(misuse, s.Clock.Now())
	if len(used) == 0 && len(misuse) == 0 {
		return nil
	}
	ctx = licensing.AsSystem(ctx, "key.uses")
	err := s.flushUses(ctx, used)
	if err == nil {
		err = s.flushMisuse(ctx, misuse)
	}
	if err == nil {
		return nil
	}
	s.traces.mu.Lock()
	defer s.traces.mu.Unlock()
	if s.traces.used == nil {
		s.traces.used = map[string]time.Time{}
	}
	for id, at := range used {
		if at.After(s.traces.used[id]) {
			s.traces.used[id] = at
		}
	}
	if s.traces.misuse == nil {
		s.traces.misuse = map[misused]struct{}{}
	}
	for m := range misuse {
		s.traces.misuse[m] = struct{}{}
	}
	return err
}

// flushMost is how many traces one transaction writes: where one writer keeps all others waiting, those get their turn between.
const flushMost = 400

// flushUses writes down when keys were used, and takes out of used what is written.
func (s *Service) flushUses(ctx context.Context, used map[string]time.Time) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(used)), flushMost) {
		at := make(map[string]time.Time, len(part))
		for _, id := range part {
			at[id] = used[id]
		}
		if err := s.Tx.InTx(ctx, func(ctx context.Context) error { return s.Uses.TouchKeys(ctx, at) }); err != nil {
			return err
		}
		for _, id := range part {
			delete(used, id)
		}
	}
	return nil
}

// flushMisuse writes down what keys were presented for that they do not open, and takes out of misuse what is written.
func (s *Service) flushMisuse(ctx context.Context, misuse map[misused]struct{}) error {
	for part := range slices.Chunk(slices.Collect(maps.Keys(misuse)), flushMost) {
		if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
			for _, m := range part {
				if err := s.Audit.Record(ctx, licensing.Event{Action: "key.misuse", Target: m.KeyID, Product: m.Product, Detail: map[string]any{"code": m.Code}}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		s.traces.written(part)
		for _, m := range part {
			delete(misuse, m)
		}
	}
	return nil
}
