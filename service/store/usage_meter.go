package store

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
)

const meterColumns = `m.id, m.product_id, m.code, m.name, m.kind, m.unit, m.event, m.value_member, m.group_member, m.version, m.created_at, m.updated_at`

func scanMeter(row db.Row) (usage.Meter, error) {
	var m usage.Meter
	err := row.Scan(&m.ID, &m.ProductID, &m.Code, &m.Name, &m.Kind, &m.Unit, &m.Event, &m.Value, &m.Group, &m.Version, &m.CreatedAt, &m.UpdatedAt)
	return m, missing(err)
}

// AddMeter implements [usage.Meters].
func (s *usages) AddMeter(ctx context.Context, m usage.Meter) error {
	n, err := s.db.Exec(ctx, `INSERT INTO usage_meter (id, product_id, code, name, kind, unit, event, value_member, group_member, version, created_at, updated_at)
		SELECT $1, p.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM product p WHERE p.id = $2 ON CONFLICT (product_id, code) DO NOTHING`,
		m.ID, m.ProductID, m.Code, m.Name, m.Kind, m.Unit, m.Event, m.Value, m.Group, m.Version, m.CreatedAt, m.UpdatedAt)
	if err == nil && n == 0 {
		var there int64
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM product WHERE id = $1`, m.ProductID).Scan(&there); err != nil {
			return err
		}
		if there == 0 {
			return licensing.ErrNotFound
		}
		return usage.ErrMeterCode
	}
	return err
}

// SaveMeter implements [usage.Meters].
func (s *usages) SaveMeter(ctx context.Context, m usage.Meter) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE usage_meter SET name = $3, unit = $4, event = $5, value_member = $6, group_member = $7, updated_at = $8, version = version + 1
		WHERE id = $1 AND version = $2`, m.ID, m.Version, m.Name, m.Unit, m.Event, m.Value, m.Group, m.UpdatedAt)
	return n == 1, err
}

// Meter implements [usage.Meters].
func (s *usages) Meter(ctx context.Context, id string) (usage.Meter, error) {
	return scanMeter(s.db.QueryRow(ctx, `SELECT `+meterColumns+` FROM usage_meter m WHERE m.id = $1`, id))
}

// ListMeters implements [usage.Meters]: newest first.
func (s *usages) ListMeters(ctx context.Context, product string, page licensing.Page) (licensing.List[usage.Meter], error) {
	limit := pageSize(page)
	sql, args := new(narrowing).by("m.product_id =", product).by("m.id <", page.Cursor).statement(`SELECT `+meterColumns+` FROM usage_meter m`, "m.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanMeter)
	if err != nil {
		return licensing.List[usage.Meter]{}, err
	}
	return cut(items, limit, func(m usage.Meter) string { return m.ID }), nil
}

// MetersFor implements [usage.Store].
func (s *usages) MetersFor(ctx context.Context, product string) ([]usage.Meter, error) {
	rows, err := s.db.Query(ctx, `SELECT `+meterColumns+` FROM usage_meter m WHERE m.product_id = $1 ORDER BY m.code`, product)
	return db.Collect(rows, err, scanMeter)
}
