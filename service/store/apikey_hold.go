package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
)

var _ apikey.HoldStore = (*apiKeys)(nil)

// KeyHolds returns the store of what API keys have spent in advance.
func (s *Store) KeyHolds() apikey.HoldStore { return &apiKeys{s} }

// AddHold implements [apikey.HoldStore].
func (s *apiKeys) AddHold(ctx context.Context, h apikey.Hold) error {
	units, err := jsonList(h.Units)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO api_key_hold (id, key_id, cost, used, credits, refill_at, units, asked_at, ends_at, raised_at) VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9)`,
		h.ID, h.KeyID, h.Cost, h.Credits, nullable(h.RefillAt), units, h.AskedAt, h.EndsAt, nullable(h.RaisedAt))
	return err
}

const holdColumns = `h.id, h.key_id, h.cost, h.used, h.credits, h.refill_at, h.units, h.asked_at, h.ends_at, h.settled_at, h.raised_at`

func scanHold(row db.Row) (h apikey.Hold, err error) {
	var units string
	var refill, settled, raised *time.Time
	if err := row.Scan(&h.ID, &h.KeyID, &h.Cost, &h.Used, &h.Credits, &refill, &units, &h.AskedAt, &h.EndsAt, &settled, &raised); err != nil {
		return h, missing(err)
	}
	h.RefillAt, h.SettledAt, h.RaisedAt = instant(refill), instant(settled), instant(raised)
	if err := json.Unmarshal([]byte(units), &h.Units); err != nil {
		return h, fmt.Errorf("reservation %s: %w", h.ID, err)
	}
	return h, nil
}

// HoldOf implements [apikey.HoldStore].
func (s *apiKeys) HoldOf(ctx context.Context, id string, r apikey.Reach) (apikey.Hold, error) {
	return scanHold(s.db.QueryRow(ctx, `SELECT `+holdColumns+` FROM api_key_hold h JOIN api_key k ON k.id = h.key_id WHERE h.id = $1 AND`+withinReach(2),
		id, string(r.Owner), r.Product, string(r.Env)))
}

// OpenHolds implements [apikey.HoldStore].
func (s *apiKeys) OpenHolds(ctx context.Context, f apikey.HoldFilter) (licensing.List[apikey.Hold], error) {
	limit := pageSize(f.Page)
	list := new(narrowing).by("h.key_id =", f.Key).by("k.owner =", string(f.Owner)).by("k.product_id =", f.Product).by("k.env =", string(f.Env)).by("h.id <", f.Page.Cursor)
	list.conditions = append(list.conditions, "h.settled_at IS NULL")
	sql, args := list.statement(`SELECT `+holdColumns+` FROM api_key_hold h JOIN api_key k ON k.id = h.key_id`, "h.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanHold)
	if err != nil {
		return licensing.List[apikey.Hold]{}, err
	}
	return cut(items, limit, func(h apikey.Hold) string { return h.ID }), nil
}

// EndHold implements [apikey.HoldStore].
func (s *apiKeys) EndHold(ctx context.Context, id string, used int64, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE api_key_hold SET used = $2, settled_at = $3 WHERE id = $1 AND settled_at IS NULL`, id, used, at)
	return n == 1, err
}

// HoldsEnded implements [apikey.HoldStore].
func (s *apiKeys) HoldsEnded(ctx context.Context, now time.Time, most int) ([]apikey.Hold, error) {
	rows, err := s.db.Query(ctx, `SELECT `+holdColumns+` FROM api_key_hold h WHERE h.settled_at IS NULL AND h.ends_at <= $1 ORDER BY h.ends_at, h.id LIMIT $2`, now, most)
	return db.Collect(rows, err, scanHold)
}

// PurgeHolds implements [apikey.HoldStore].
func (s *apiKeys) PurgeHolds(ctx context.Context, before time.Time) (int64, error) {
	return s.db.Exec(ctx, `DELETE FROM api_key_hold WHERE settled_at IS NOT NULL AND settled_at < $1`, before)
}
