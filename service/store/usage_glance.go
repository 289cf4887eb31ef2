package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
)

// Glance implements [usage.Reads]. The meters of a scope are found by stepping from one code to the next, so that none of the many rows
// of each is read for it.
func (s *usages) Glance(ctx context.Context, sel usage.Selection, since time.Time, counts []usage.Count,
	month func(string, time.Time, usage.Value, int64), count func(int, usage.Value, int64)) error {
	var questions []db.Question
	for _, scope := range scopes(sel) {
		questions = append(questions, db.Question{SQL: metersOf("usage_rollup") + `SELECT r.meter, r.starts_at, ` + usageColumns + ` FROM m JOIN usage_rollup r
			ON r.scope = $1 AND r.meter = m.meter AND r.span = $2 AND r.grp = $3 AND r.starts_at >= $4`, Args: []any{scope, string(usage.Month), usage.All, since}, Each: func(row db.Row) error {
			var meter string
			var at time.Time
			var v usage.Value
			err := scanValue(row, &v, &meter, &at)
			if err == nil {
				month(meter, at, v, 0)
			}
			return err
		}})
	}
	questions = append(questions, db.Question{SQL: metersOf("usage_member") + `SELECT r.meter, r.starts_at, count(*) FROM m JOIN usage_member r
		ON r.scope = $1 AND r.meter = m.meter AND r.span = $2 AND r.subject = $3 AND r.grp = $3 AND r.starts_at >= $4 GROUP BY r.meter, r.starts_at`,
		Args: []any{memberScope(sel), string(usage.Month), usage.All, since}, Each: func(row db.Row) error {
			var meter string
			var at time.Time
			var unique int64
			err := row.Scan(&meter, &at, &unique)
			if err == nil {
				month(meter, at, usage.Value{}, unique)
			}
			return err
		}})
	return s.db.Ask(ctx, append(questions, counting(sel, counts, count)...)...)
}

// Counts implements [usage.Reads].
func (s *usages) Counts(ctx context.Context, counts []usage.Count, each func(int, usage.Value, int64)) error {
	return s.db.Ask(ctx, counting(usage.Selection{}, counts, each)...)
}

// counting asks for each of the counts of a selection.
func counting(sel usage.Selection, counts []usage.Count, count func(int, usage.Value, int64)) (questions []db.Question) {
	for i, c := range counts {
		one := sel
		if one.Meter = c.Meter; c.Carrier != "" {
			one.Carrier = c.Carrier
		}
		for _, r := range c.Ranges {
			table, n := selected(one)
			n.during(r)
			questions = append(questions, db.Question{SQL: `SELECT ` + usageColumns + ` FROM ` + table + n.where(), Args: n.args, Each: func(row db.Row) error {
				var v usage.Value
				err := scanValue(row, &v)
				if err == nil {
					count(i, v, 0)
				}
				return err
			}})
		}
		if c.Unique {
			n := valued(one).amongRanges(c.Ranges)
			questions = append(questions, db.Question{SQL: `SELECT count(DISTINCT member) FROM usage_member` + n.where(), Args: n.args, Each: func(row db.Row) error {
				var unique int64
				err := row.Scan(&unique)
				if err == nil {
					count(i, usage.Value{}, unique)
				}
				return err
			}})
		}
	}
	return questions
}

// metersOf is a table m of the meters that scope $1 has rows of.
func metersOf(table string) string {
	return `WITH RECURSIVE m (meter) AS (SELECT MIN(meter) FROM ` + table + ` WHERE scope = $1
		UNION ALL SELECT (SELECT MIN(r.meter) FROM ` + table + ` r WHERE r.scope = $1 AND r.meter > m.meter) FROM m WHERE m.meter IS NOT NULL) `
}

// memberScope is the scope of a selection's different values.
func memberScope(s usage.Selection) string {
	if s.Carrier != "" {
		return s.Carrier
	}
	return usage.MemberScope(s.Product, s.Env)
}
