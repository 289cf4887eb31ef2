package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// usages implements [usage.Store].
type usages struct{ *Store }

var _ usage.Store = (*usages)(nil)

// Usage returns the store of usage.
func (s *Store) Usage() usage.Store { return &usages{s} }

const sourceColumns = `s.id, s.holder, s.nonce, s.carrier, s.product_id, s.env, s.last_seq, s.last_hash, s.last_at, s.forked_at, s.created_at`

func scanSource(row db.Row) (usage.Source, error) {
	var s usage.Source
	var last, forked *time.Time
	err := row.Scan(&s.ID, &s.Holder, &s.Nonce, &s.Carrier, &s.ProductID, &s.Env, &s.Seq, &s.Hash, &last, &forked, &s.CreatedAt)
	s.At, s.ForkedAt = instant(last), instant(forked)
	return s, missing(err)
}

// OpenSource implements [usage.Store].
func (s *usages) OpenSource(ctx context.Context, src usage.Source) (usage.Source, error) {
	if _, err := s.db.Exec(ctx, `INSERT INTO usage_source (id, holder, nonce, carrier, product_id, env, last_seq, last_hash, events, total, created_at)
		SELECT $1, $2, $3, l.id, l.product_id, l.env, 0, '', 0, 0, COALESCE($5, l.created_at) FROM license l WHERE l.id = $4
		ON CONFLICT (holder, nonce) DO NOTHING`, src.ID, src.Holder, src.Nonce, src.Carrier, src.CreatedAt); err != nil {
		return src, err
	}
	return scanSource(s.db.QueryRow(ctx, `SELECT `+sourceColumns+` FROM usage_source s WHERE s.holder = $1 AND s.nonce = $2`, src.Holder, src.Nonce))
}

// Source implements [usage.Store].
func (s *usages) Source(ctx context.Context, id string) (usage.Source, error) {
	return scanSource(s.db.QueryRow(ctx, `SELECT `+sourceColumns+` FROM usage_source s WHERE s.id = $1`, id))
}

// Advance implements [usage.Store]. The row that it locks is what makes batches of one source follow each other.
func (s *usages) Advance(ctx context.Context, b usage.Batch) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE usage_source SET last_seq = $4, last_hash = $5, last_at = $6, events = events + $7, total = total + $8
		WHERE id = $1 AND holder = $2 AND last_seq = $3`, b.Source.ID, b.Source.Holder, b.From, b.Seq, b.Hash, b.At, b.Events, b.Total)
	if err != nil || n == 0 {
		return false, err
	}
	failpoint.Hit("usage-source-row")
	if b.Seq > b.From+1 {
		_, err = s.db.Exec(ctx, `INSERT INTO usage_gap (source_id, from_seq, to_seq, at) VALUES ($1, $2, $3, $4)`, b.Source.ID, b.From+1, b.Seq-1, b.At)
	}
	return true, err
}

// The spans that sums are kept by.
const (
	spanQuarter = "quarter" // of an hour
	spanMonth   = "month"   // in UTC
)

// Add implements [usage.Store].
func (s *usages) Add(ctx context.Context, b usage.Batch) error {
	statements := make([]db.Statement, 0, len(b.Quarters)+len(b.Months))
	for _, of := range []struct {
		span string
		sums []usage.Sum
	}{{spanQuarter, b.Quarters}, {spanMonth, b.Months}} {
		for _, sum := range of.sums {
			statements = append(statements, db.Statement{SQL: `INSERT INTO usage_total AS t (carrier, span, starts_at, meter, subject, grp, events, total, peak, late)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
				ON CONFLICT (carrier, span, starts_at, meter, subject, grp) DO UPDATE SET events = t.events + EXCLUDED.events,
					total = t.total + EXCLUDED.total, late = t.late + EXCLUDED.late, peak = CASE WHEN EXCLUDED.peak > t.peak THEN EXCLUDED.peak ELSE t.peak END`,
				Args: []any{b.Source.Carrier, of.span, sum.Starts, sum.Meter, sum.Subject, sum.Group, sum.Events, sum.Total, sum.Max, sum.Late}})
		}
	}
	_, err := s.db.Batch(ctx, statements)
	failpoint.Hit("usage-batch-row")
	return err
}

// HandOver implements [usage.Store].
func (s *usages) HandOver(ctx context.Context, id, license, to string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE usage_source SET holder = $3 WHERE id = $1 AND carrier = $2
		AND NOT EXISTS (SELECT 1 FROM activation a WHERE a.id = usage_source.holder AND a.state = 'held')
		AND EXISTS (SELECT 1 FROM activation a WHERE a.id = $3 AND a.license_id = $2 AND a.state = 'held')`, id, license, to)
	return n == 1, err
}

// Flag implements [usage.Store].
func (s *usages) Flag(ctx context.Context, id string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE usage_source SET forked_at = $2 WHERE id = $1 AND forked_at IS NULL`, id, at)
	return err
}

// Months implements [usage.Store]. The cursor is the last row's month and codes, none of which has a line feed.
func (s *usages) Months(ctx context.Context, reach license.Reach, carrier string, page licensing.Page) (licensing.List[usage.Sum], error) {
	limit := pageSize(page)
	sql, args := `SELECT starts_at, meter, subject, grp, events, total, peak, late FROM usage_total WHERE carrier = $1 AND span = $2 `, []any{carrier, spanMonth}
	if page.Cursor != "" {
		after := strings.Split(page.Cursor, "\n")
		at, err := time.Parse(time.RFC3339, after[0])
		if err != nil || len(after) != 4 {
			return licensing.List[usage.Sum]{}, errors.New("usage: a cursor of another list")
		}
		sql += `AND (starts_at < $4 OR starts_at = $4 AND (meter, subject, grp) > ($5, $6, $7)) `
		args = append(args, limit+1, at, after[1], after[2], after[3])
	} else {
		args = append(args, limit+1)
	}
	var found []string
	var items []usage.Sum
	err := s.db.Ask(ctx, reached(reach, carrier, &found), db.Question{SQL: sql + `ORDER BY starts_at DESC, meter, subject, grp LIMIT $3`, Args: args,
		Each: func(row db.Row) error {
			var m usage.Sum
			err := row.Scan(&m.Starts, &m.Meter, &m.Subject, &m.Group, &m.Events, &m.Total, &m.Max, &m.Late)
			items = append(items, m)
			return err
		}})
	if err == nil && len(found) == 0 {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return licensing.List[usage.Sum]{}, err
	}
	return cut(items, limit, func(m usage.Sum) string {
		return strings.Join([]string{m.Starts.UTC().Format(time.RFC3339), m.Meter, m.Subject, m.Group}, "\n")
	}), nil
}
