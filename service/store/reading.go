package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

// OldestUngranted is when the longest-waiting paid order without its grants was paid; found is false when every paid order has
// them. Orders that a kill switch holds count: their buyers wait all the same.
func (s *Store) OldestUngranted(ctx context.Context) (paidAt time.Time, found bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT paid_at FROM orders WHERE state = 'paid' AND paid_at IS NOT NULL ORDER BY paid_at LIMIT 1`).Scan(&paidAt)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return paidAt, err == nil, err
}
