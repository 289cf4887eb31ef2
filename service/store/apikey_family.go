package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
)

var _ apikey.FamilyStore = (*apiKeys)(nil)

// HoldFamily implements [apikey.FamilyStore]. No row of a key could stand for the family: which is the first of them changes with what is sold.
func (s *apiKeys) HoldFamily(ctx context.Context, owner licensing.Owner) error {
	for range 2 {
		var held string
		err := s.db.QueryRow(ctx, `SELECT f.owner FROM api_key_family f WHERE f.owner = $1 FOR UPDATE`, string(owner)).Scan(&held)
		if !errors.Is(err, db.ErrNoRows) {
			return err
		}
		if _, err := s.db.Exec(ctx, `INSERT INTO api_key_family (owner) VALUES ($1) ON CONFLICT (owner) DO NOTHING`, string(owner)); err != nil {
			return err
		}
	}
	return nil
}

// Families implements [apikey.FamilyStore].
func (s *apiKeys) Families(ctx context.Context, keys []string) ([]licensing.Owner, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var args []any
	rows, err := s.db.Query(ctx, `SELECT DISTINCT k.owner FROM api_key k WHERE k.id IN (`+among(&args, keys)+`) AND (k.source_kind = 'order_unit' OR k.parent_id <> '') ORDER BY k.owner`, args...)
	return db.Collect(rows, err, func(row db.Row) (o licensing.Owner, err error) { return o, row.Scan(&o) })
}

// fromSold are the keys that were bought, by an owner ($1), and have not ended at an instant ($2), and fromBase those of them that are good.
// longest puts the one that lasts the longest first.
const (
	fromSold = ` FROM api_key k WHERE k.owner = $1 AND k.source_kind = 'order_unit' AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) `
	fromBase = fromSold + `AND k.held_at IS NULL AND k.disputed_at IS NULL `
	longest  = `CASE WHEN k.expires_at IS NULL THEN 0 ELSE 1 END, k.expires_at DESC, k.id LIMIT 1 `
)

// Home implements [apikey.FamilyStore].
func (s *apiKeys) Home(ctx context.Context, owner licensing.Owner, planID string, env licensing.Env, now time.Time) (apikey.Key, error) {
	return scanAPIKey(s.db.QueryRow(ctx, `SELECT `+apiKeyColumns+fromSold+`AND k.plan_id = $3 AND k.env = $4
		ORDER BY CASE WHEN k.held_at IS NULL AND k.disputed_at IS NULL THEN 0 ELSE 1 END, `+longest, string(owner), now, planID, string(env)))
}

// Strays implements [apikey.FamilyStore].
func (s *apiKeys) Strays(ctx context.Context, home *apikey.Key, ended string) ([]apikey.Stray, error) {
	until := home.ExpiresAt
	if until.IsZero() {
		until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rows, err := s.db.Query(ctx, `SELECT k.id, k.parent_id FROM api_key k JOIN api_key p ON p.id = k.parent_id
		WHERE k.owner = $1 AND k.plan_id = $2 AND k.env = $3 AND k.parent_id <> '' AND k.parent_id <> $4 AND k.revoked_at IS NULL
			AND (p.id = $5 OR $7 AND (p.held_at IS NOT NULL OR p.disputed_at IS NOT NULL OR p.expires_at < $6)) ORDER BY k.id`,
		string(home.Owner), home.PlanID, string(home.Env), home.ID, ended, until, home.StoppedAt().IsZero())
	return db.Collect(rows, err, func(row db.Row) (out apikey.Stray, err error) { return out, row.Scan(&out.ID, &out.ParentID) })
}

// Rehome implements [apikey.FamilyStore].
func (s *apiKeys) Rehome(ctx context.Context, strays []apikey.Stray, home string, at time.Time) error {
	for part := range slices.Chunk(strays, 400) {
		ids := make([]string, len(part))
		for i, stray := range part {
			ids[i] = stray.ID
		}
		args := []any{home, at}
		if _, err := s.db.Exec(ctx, `UPDATE api_key SET parent_id = $1, updated_at = $2 WHERE `+inOrder("api_key", `id IN (`+among(&args, ids)+`)`), args...); err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.changed(ctx, "api_key", id); err != nil {
				return err
			}
		}
	}
	return nil
}
