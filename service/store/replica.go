package store

import (
	"context"
	"time"
)

// ReplicaBeat notes that a replica is alive at now, forgets those long gone, and returns how many were seen since an instant,
// itself included. Instants are those of the replicas' clocks.
func (s *Store) ReplicaBeat(ctx context.Context, id string, now, since time.Time) (alive int64, err error) {
	if _, err := s.db.Exec(ctx, `INSERT INTO replica (id, seen_at) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`, id, now); err != nil {
		return 0, err
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM replica WHERE seen_at < $1`, now.Add(-time.Hour)); err != nil {
		return 0, err
	}
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM replica WHERE seen_at >= $1`, since).Scan(&alive)
	return alive, err
}
