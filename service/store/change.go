package store

import (
	"context"
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
