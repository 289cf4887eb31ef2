package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
)

// hasQuota is the condition that a license l has quotas.
const hasQuota = `l.terms LIKE '%"meters":{"%'`

// owned asks for a part of what an owner ($1) has, after an id ($2), at an instant ($3), of a product ($4) and environment ($5).
const (
	ownedLicenses = `SELECT l.id, l.owner, l.product_id, l.env, l.licensee, COALESCE(p.name, l.product_slug), l.plan_code, l.state = 'revoked' OR l.valid_until IS NOT NULL AND l.valid_until <= $3,
			CASE WHEN ` + hasQuota + ` THEN l.terms ELSE '' END
		FROM license l LEFT JOIN product p ON p.id = l.product_id WHERE l.owner = $1 AND ($2 = '' OR l.id < $2) AND ($4 = '' OR l.product_id = $4) AND ($5 = '' OR l.env = $5)
			AND (l.state <> 'revoked' AND ` + hasQuota + ` OR EXISTS (SELECT 1 FROM usage_rollup r WHERE r.scope = l.id)) ORDER BY l.id DESC LIMIT $6`
	ownedKeys = `SELECT k.id, k.owner, k.product_id, k.env, k.name, COALESCE(p.name, ''), k.plan_code, k.revoked_at IS NOT NULL OR k.expires_at IS NOT NULL AND k.expires_at <= $3, ''
		FROM api_key k LEFT JOIN product p ON p.id = k.product_id WHERE k.owner = $1 AND ($2 = '' OR k.id < $2) AND ($4 = '' OR k.product_id = $4) AND ($5 = '' OR k.env = $5)
			AND EXISTS (SELECT 1 FROM usage_rollup r WHERE r.scope = k.id) ORDER BY k.id DESC LIMIT $6`
)

func scanOwned(row db.Row) (o usage.Owned, err error) {
	var terms string
	if err := row.Scan(&o.ID, &o.Owner, &o.ProductID, &o.Env, &o.Name, &o.ProductName, &o.Plan, &o.Over, &terms); err != nil || terms == "" {
		return o, err
	}
	var t struct {
		Meters map[string]license.Meter `json:"meters"`
	}
	if err := json.Unmarshal([]byte(terms), &t); err != nil {
		return o, fmt.Errorf("license %s: %w", o.ID, err)
	}
	o.Quotas = t.Meters
	return o, nil
}

// Owned implements [usage.Reads]. Ids of licenses come after those of keys, so that one cursor goes through both.
func (s *usages) Owned(ctx context.Context, r license.Reach, now time.Time, page licensing.Page) (licensing.List[usage.Owned], []usage.Meter, error) {
	limit := pageSize(page)
	args := []any{string(r.Owner), page.Cursor, now, r.Product, string(r.Env), limit + 1}
	var items, keys []usage.Owned
	var meters []usage.Meter
	err := s.db.Ask(ctx, db.Question{SQL: ownedLicenses, Args: args, Each: db.Into(&items, scanOwned)}, db.Question{SQL: ownedKeys, Args: args, Each: db.Into(&keys, scanOwned)},
		db.Question{SQL: `SELECT ` + meterColumns + ` FROM usage_meter m WHERE m.product_id IN (SELECT l.product_id FROM license l WHERE l.owner = $1 UNION SELECT k.product_id FROM api_key k WHERE k.owner = $1)`,
			Args: []any{string(r.Owner)}, Each: db.Into(&meters, scanMeter)})
	if err != nil {
		return licensing.List[usage.Owned]{}, nil, err
	}
	return cut(append(items, keys...), limit, func(o usage.Owned) string { return o.ID }), meters, nil
}

// Days implements [usage.Reads].
func (s *usages) Days(ctx context.Context, of []usage.DaysOf, since time.Time, counts []usage.Count,
	day func(int, string, time.Time, usage.Value, int64), count func(int, usage.Value, int64)) error {
	var questions []db.Question
	for i, o := range of {
		questions = append(questions, db.Question{SQL: metersOf("usage_rollup") + `SELECT r.meter, r.starts_at, ` + usageColumns + ` FROM m JOIN usage_rollup r
			ON r.scope = $1 AND r.meter = m.meter AND r.span = $2 AND r.grp = $3 AND r.starts_at >= $4`, Args: []any{o.Carrier, string(usage.Day), usage.All, since}, Each: func(row db.Row) error {
			var meter string
			var at time.Time
			var v usage.Value
			err := scanValue(row, &v, &meter, &at)
			if err == nil {
				day(i, meter, at, v, 0)
			}
			return err
		}})
		for _, meter := range o.Unique {
			questions = append(questions, db.Question{SQL: `SELECT starts_at, count(*) FROM usage_member WHERE scope = $1 AND meter = $2 AND span = $3 AND subject = $4 AND grp = $4 AND starts_at >= $5
				GROUP BY starts_at`, Args: []any{o.Carrier, meter, string(usage.Day), usage.All, since}, Each: func(row db.Row) error {
				var at time.Time
				var unique int64
				err := row.Scan(&at, &unique)
				if err == nil {
					day(i, meter, at, usage.Value{}, unique)
				}
				return err
			}})
		}
	}
	return s.db.Ask(ctx, append(questions, counting(usage.Selection{}, counts, count)...)...)
}
