package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

var _ usage.Thresholds = (*usages)(nil)

// UsageThresholds returns the store of what owners are told of their quotas.
func (s *Store) UsageThresholds() usage.Thresholds { return &usages{s} }

// Percents implements [usage.Thresholds].
func (s *usages) Percents(ctx context.Context, license string) (map[string][]int64, error) {
	type set struct {
		meter    string
		percents []int64
	}
	rows, err := s.db.Query(ctx, `SELECT meter, percents FROM usage_threshold WHERE license_id = $1`, license)
	list, err := db.Collect(rows, err, func(r db.Row) (one set, err error) {
		var text string
		if err := r.Scan(&one.meter, &text); err != nil {
			return one, err
		}
		if err := json.Unmarshal([]byte(text), &one.percents); err != nil {
			return one, fmt.Errorf("thresholds of %s: %w", license, err)
		}
		return one, nil
	})
	out := make(map[string][]int64, len(list))
	for _, one := range list {
		out[one.meter] = one.percents
	}
	return out, err
}

// SetPercents implements [usage.Thresholds].
func (s *usages) SetPercents(ctx context.Context, license, meter string, percents []int64, at time.Time) error {
	text, err := jsonList(percents)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO usage_threshold (license_id, meter, percents, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (license_id, meter) DO UPDATE SET percents = EXCLUDED.percents, updated_at = EXCLUDED.updated_at`, license, meter, text, at)
	return err
}

// Crossed implements [usage.Thresholds].
func (s *usages) Crossed(ctx context.Context, license, meter string, starts time.Time) ([]int64, error) {
	rows, err := s.db.Query(ctx, `SELECT percent FROM usage_crossing WHERE license_id = $1 AND meter = $2 AND starts = $3 ORDER BY percent`, license, meter, starts)
	return db.Collect(rows, err, func(r db.Row) (p int64, err error) { return p, r.Scan(&p) })
}

// Alerts implements [usage.Thresholds].
func (s *usages) Alerts(ctx context.Context, license string, starts []time.Time) (map[string][]int64, []usage.Crossing, error) {
	args := []any{license}
	marks := among(&args, starts)
	set, told := map[string][]int64{}, []usage.Crossing{}
	rows, err := s.db.Query(ctx, `SELECT meter, percents, percent, used, quota, starts, at FROM (
		SELECT meter, percents, 0 AS percent, 0 AS used, 0 AS quota, updated_at AS starts, updated_at AS at FROM usage_threshold WHERE license_id = $1
		UNION ALL SELECT meter, '' AS percents, percent, used, quota, starts, at FROM usage_crossing WHERE license_id = $1 AND starts IN (`+marks+`)) x ORDER BY meter, starts, percent`, args...)
	_, err = db.Collect(rows, err, func(r db.Row) (none struct{}, err error) {
		c, text := usage.Crossing{License: license}, ""
		if err := r.Scan(&c.Meter, &text, &c.Percent, &c.Used, &c.Quota, &c.Starts, &c.At); err != nil {
			return none, err
		}
		if text == "" {
			told = append(told, c)
			return none, nil
		}
		var percents []int64
		err = json.Unmarshal([]byte(text), &percents)
		set[c.Meter] = percents
		return none, err
	})
	return set, told, err
}

// Cross implements [usage.Thresholds]. The primary key is what makes it once.
func (s *usages) Cross(ctx context.Context, c usage.Crossing) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO usage_crossing (license_id, meter, starts, percent, used, quota, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (license_id, meter, starts, percent) DO NOTHING`, c.License, c.Meter, c.Starts, c.Percent, c.Used, c.Quota, c.At)
	failpoint.Hit("usage-crossing-row")
	return n > 0, err
}

// Seen implements [usage.Thresholds].
func (s *usages) Seen(ctx context.Context, license string) ([]usage.Seen, error) {
	rows, err := s.db.Query(ctx, `SELECT meter, period, starts, used FROM usage_seen WHERE license_id = $1`, license)
	return db.Collect(rows, err, func(r db.Row) (v usage.Seen, err error) { return v, r.Scan(&v.Meter, &v.Period, &v.Starts, &v.Used) })
}

// See implements [usage.Thresholds].
func (s *usages) See(ctx context.Context, license, meter string, list []usage.Seen, before time.Time) error {
	statements := []db.Statement{{SQL: `DELETE FROM usage_seen WHERE license_id = $1 AND meter = $2 AND starts < $3`, Args: []any{license, meter, before}}}
	for _, v := range list {
		statements = append(statements, db.Statement{SQL: `INSERT INTO usage_seen (license_id, meter, period, starts, used) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (license_id, meter, period, starts) DO UPDATE SET used = EXCLUDED.used`, Args: []any{license, meter, v.Period, v.Starts, v.Used}})
	}
	return s.write(ctx, statements...)
}

// Watched implements [usage.Thresholds].
func (s *usages) Watched(ctx context.Context) (at time.Time, err error) {
	err = s.db.QueryRow(ctx, `SELECT at FROM usage_watch WHERE one = 1`).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return at, nil
	}
	return at, err
}

// Watch implements [usage.Thresholds].
func (s *usages) Watch(ctx context.Context, at time.Time) error {
	failpoint.Hit("usage-watch")
	_, err := s.db.Exec(ctx, `INSERT INTO usage_watch (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = CASE WHEN EXCLUDED.at > usage_watch.at THEN EXCLUDED.at ELSE usage_watch.at END`, at)
	return err
}

// Counted implements [usage.Thresholds]. Most licenses have no quota, and are left out here. Those that changed are in the change feed, under their
// own id.
func (s *usages) Counted(ctx context.Context, since time.Time, after usage.Mark, limit int) ([]usage.Mark, error) {
	if after.At.Before(since) {
		after = usage.Mark{At: since}
	}
	var marks []usage.Mark
	each := func(r db.Row) error {
		var m usage.Mark
		err := r.Scan(&m.At, &m.Source, &m.License)
		marks = append(marks, m)
		return err
	}
	args := []any{after.At, after.Source, limit}
	err := s.db.Ask(ctx,
		db.Question{SQL: `SELECT m.last_at, m.source, u.carrier FROM usage_mark m JOIN usage_source u ON u.id = m.source JOIN license l ON l.id = u.carrier
			WHERE m.last_at >= $1 AND (m.last_at > $1 OR m.source > $2) AND ` + hasQuota + ` ORDER BY m.last_at, m.source LIMIT $3`, Args: args, Each: each},
		db.Question{SQL: `SELECT c.at, c.id, c.id FROM change c JOIN license l ON l.id = c.id
			WHERE c.at >= $1 AND c.kind = 'license' AND (c.at > $1 OR c.id > $2) AND ` + hasQuota + ` ORDER BY c.at, c.id LIMIT $3`, Args: args, Each: each})
	slices.SortFunc(marks, func(a, b usage.Mark) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Source, b.Source)) })
	return marks[:min(len(marks), limit)], err // each list has the first ones, so both together do
}
