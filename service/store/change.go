package store

import (
	"context"
	"sync"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/feed"
)

type changes struct{ *Store }

var _ feed.Store = (*changes)(nil)

// Changes returns the change feed.
func (s *Store) Changes() feed.Store { return &changes{s} }

// LastChange implements [feed.Store].
func (s *changes) LastChange(ctx context.Context) (last int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE(MAX(seq), 0) FROM change`).Scan(&last)
	return last, err
}

// ChangesAfter implements [feed.Store].
func (s *changes) ChangesAfter(ctx context.Context, seq int64, limit int) ([]feed.Change, error) {
	rows, err := s.db.Query(ctx, `SELECT seq, kind, id, at FROM change WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
	return db.Collect(rows, err, func(r db.Row) (c feed.Change, err error) {
		err = r.Scan(&c.Seq, &c.Kind, &c.ID, &c.At)
		return c, err
	})
}

// PruneChanges implements [feed.Store].
func (s *changes) PruneChanges(ctx context.Context, before time.Time) (int64, error) {
	return s.db.Exec(ctx, `DELETE FROM change WHERE at < $1`, before)
}

// change is what one row of the feed tells.
type change struct{ kind, id string }

// watchers are told of changes that this process made, as soon as they are committed: whoever changed something sees it at once on the
// replica that did it, while the others learn of it by the feed.
type watchers struct {
	mu   sync.RWMutex
	told map[string][]func(id string)
}

// Watch has fn called with the id of every object of a kind that a transaction of this process changed, when it has committed. fn must be
// quick and may not use the database.
func (s *Store) Watch(kind string, fn func(id string)) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	if s.watch.told == nil {
		s.watch.told = map[string][]func(string){}
	}
	s.watch.told[kind] = append(s.watch.told[kind], fn)
}

func (w *watchers) tell(changes []change) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, c := range changes {
		for _, fn := range w.told[c.kind] {
			fn(c.id)
		}
	}
}

// noteChange has the watchers told of a change when the transaction in ctx has committed, or now when there is none. What a savepoint undid
// is told of too, which costs a reading.
func (s *Store) noteChange(ctx context.Context, kind, id string) {
	if u := unitFrom(ctx); u != nil {
		u.changes = append(u.changes, change{kind, id})
		return
	}
	s.watch.tell([]change{{kind, id}})
}
