package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// webhooks implements the stores of [webhook].
type webhooks struct{ *Store }

var (
	_ webhook.Endpoints  = (*webhooks)(nil)
	_ webhook.Deliveries = (*webhooks)(nil)
	_ webhook.Repeats    = (*webhooks)(nil)
	_ webhook.Claims     = (*webhooks)(nil)
	_ webhook.Trail      = (*webhooks)(nil)
)

// Webhooks returns the store of endpoints, deliveries and claims, which also follows the audit trail.
func (s *Store) Webhooks() *webhooks { return &webhooks{s} }

const endpointColumns = `e.id, e.url, e.description, e.env, e.types, e.row_version, e.created_at, e.updated_at, e.disabled_at, e.disabled_why, e.removed_at,
	e.failures, e.failing_since, e.open_until, e.slow, e.nudged`

func scanEndpoint(row db.Row) (e webhook.Endpoint, err error) {
	var types string
	var disabled, removed, failing, open *time.Time
	if err := row.Scan(&e.ID, &e.URL, &e.Description, &e.Env, &types, &e.Version, &e.CreatedAt, &e.UpdatedAt, &disabled, &e.DisabledWhy, &removed,
		&e.Failures, &failing, &open, &e.Slow, &e.Nudged); err != nil {
		return e, missing(err)
	}
	e.DisabledAt, e.RemovedAt, e.FailingSince, e.OpenUntil = instant(disabled), instant(removed), instant(failing), instant(open)
	if err := json.Unmarshal([]byte(types), &e.Types); err != nil {
		return e, fmt.Errorf("webhook endpoint %s: types: %w", e.ID, err)
	}
	return e, nil
}

// AddEndpoint implements [webhook.Endpoints].
func (s *webhooks) AddEndpoint(ctx context.Context, e webhook.Endpoint, secret webhook.Secret) error {
	types, err := jsonList(e.Types)
	if err != nil {
		return err
	}
	_, err = s.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO webhook_endpoint (id, url, description, env, types, row_version, created_at, updated_at, disabled_why, failures, slow, held_by, nudged)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 0, $9, '', 0)`, Args: []any{e.ID, e.URL, e.Description, string(e.Env), types, e.Version, e.CreatedAt, e.UpdatedAt, false}},
		addWebhookSecret(e.ID, 0, secret),
	})
	return err
}

func addWebhookSecret(endpoint string, slot int64, s webhook.Secret) db.Statement {
	return db.Statement{SQL: `INSERT INTO webhook_secret (id, endpoint_id, slot, sealed, created_at) VALUES ($1, $2, $3, $4, $5)`,
		Args: []any{s.ID, endpoint, slot, s.Sealed, s.CreatedAt}}
}

// Endpoint implements [webhook.Endpoints].
func (s *webhooks) Endpoint(ctx context.Context, id string) (webhook.Endpoint, error) {
	return scanEndpoint(s.db.QueryRow(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoint e WHERE e.id = $1 AND e.removed_at IS NULL`, id))
}

// ListEndpoints implements [webhook.Endpoints].
func (s *webhooks) ListEndpoints(ctx context.Context, page licensing.Page) (licensing.List[webhook.Endpoint], error) {
	limit := pageSize(page)
	rows, err := s.db.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoint e WHERE e.removed_at IS NULL AND ($1 = '' OR e.id < $1) ORDER BY e.id DESC LIMIT $2`, page.Cursor, limit+1)
	items, err := db.Collect(rows, err, scanEndpoint)
	return cut(items, limit, func(e webhook.Endpoint) string { return e.ID }), err
}

// LiveEndpoints implements [webhook.Endpoints].
func (s *webhooks) LiveEndpoints(ctx context.Context) ([]webhook.Endpoint, error) {
	rows, err := s.db.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoint e WHERE e.removed_at IS NULL AND e.disabled_at IS NULL ORDER BY e.id`)
	return db.Collect(rows, err, scanEndpoint)
}

// SaveEndpoint implements [webhook.Endpoints].
func (s *webhooks) SaveEndpoint(ctx context.Context, e webhook.Endpoint) (bool, error) {
	types, err := jsonList(e.Types)
	if err != nil {
		return false, err
	}
	n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET url = $3, description = $4, types = $5, updated_at = $6, failures = $7, failing_since = $8, open_until = $9, slow = $10, row_version = row_version + 1
		WHERE id = $1 AND row_version = $2 AND removed_at IS NULL`, e.ID, e.Version, e.URL, e.Description, types, e.UpdatedAt,
		e.Failures, nullable(e.FailingSince), nullable(e.OpenUntil), e.Slow)
	return n > 0, err
}

// SetDisabled implements [webhook.Endpoints].
func (s *webhooks) SetDisabled(ctx context.Context, id, why string, at time.Time) (bool, error) {
	if why == "" {
		n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET disabled_at = NULL, disabled_why = '', failures = 0, failing_since = NULL, open_until = NULL, slow = $3, updated_at = $2, row_version = row_version + 1
			WHERE id = $1 AND disabled_at IS NOT NULL AND removed_at IS NULL`, id, at, false)
		return n > 0, err
	}
	n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET disabled_at = $3, disabled_why = $2, updated_at = $3, row_version = row_version + 1
		WHERE id = $1 AND disabled_at IS NULL AND removed_at IS NULL`, id, why, at)
	return n > 0, err
}

// RemoveEndpoint implements [webhook.Endpoints].
func (s *webhooks) RemoveEndpoint(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE webhook_endpoint SET removed_at = $2, updated_at = $2, url = '', description = '' WHERE id = $1 AND removed_at IS NULL`, Args: []any{id, at}},
		{SQL: `DELETE FROM webhook_secret WHERE endpoint_id = $1`, Args: []any{id}},
	})
	return err == nil && n[0] > 0, err
}

// RotateSecret implements [webhook.Endpoints]. The endpoint's row is locked first.
func (s *webhooks) RotateSecret(ctx context.Context, id string, secret webhook.Secret, now, until time.Time) error {
	var found string
	if err := s.db.QueryRow(ctx, `SELECT id FROM webhook_endpoint WHERE id = $1 AND removed_at IS NULL FOR UPDATE`, id).Scan(&found); err != nil {
		return missing(err)
	}
	slot, err := s.freeSlot(ctx, "webhook_secret", "endpoint_id", id, now, until)
	if err != nil {
		return err
	}
	if slot < 0 {
		return webhook.ErrTwoSecrets
	}
	_, err = s.db.Batch(ctx, []db.Statement{addWebhookSecret(id, slot, secret)})
	return err
}

// Secrets implements [webhook.Endpoints].
func (s *webhooks) Secrets(ctx context.Context, id string, at time.Time) ([]webhook.Secret, error) {
	rows, err := s.db.Query(ctx, `SELECT id, sealed, created_at, expires_at FROM webhook_secret WHERE endpoint_id = $1 AND slot IS NOT NULL AND (expires_at IS NULL OR expires_at > $2)
		ORDER BY created_at DESC, id DESC`, id, at)
	return db.Collect(rows, err, func(r db.Row) (w webhook.Secret, err error) {
		var expires *time.Time
		err = r.Scan(&w.ID, &w.Sealed, &w.CreatedAt, &expires)
		w.ExpiresAt = instant(expires)
		return w, err
	})
}

// Claim implements [webhook.Claims]. Whoever finds it held says so in the row, and the holder looks at that before it lets go, so that one of
// the two sees what was written before.
func (s *webhooks) Claim(ctx context.Context, id, by string, now, until time.Time) (bool, error) {
	for {
		n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET held_by = $2, held_until = $4 WHERE id = $1 AND removed_at IS NULL AND (held_until IS NULL OR held_until <= $3)`, id, by, now, until)
		if err != nil || n > 0 {
			return n > 0, err
		}
		if n, err = s.db.Exec(ctx, `UPDATE webhook_endpoint SET nudged = nudged + 1 WHERE id = $1 AND held_until > $2`, id, now); err != nil || n > 0 {
			return false, err
		}
		var there bool
		err = s.db.QueryRow(ctx, `SELECT removed_at IS NULL FROM webhook_endpoint WHERE id = $1`, id).Scan(&there)
		if errors.Is(err, db.ErrNoRows) || err == nil && !there {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// Hold implements [webhook.Claims].
func (s *webhooks) Hold(ctx context.Context, id, by string, until time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET held_until = $3 WHERE id = $1 AND held_by = $2`, id, by, until)
	return n > 0, err
}

// Release implements [webhook.Claims].
func (s *webhooks) Release(ctx context.Context, id, by string, nudged int64) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET held_by = '', held_until = NULL WHERE id = $1 AND held_by = $2 AND nudged = $3`, id, by, nudged)
	return n > 0, err
}

// Drop implements [webhook.Claims].
func (s *webhooks) Drop(ctx context.Context, id, by string) error {
	_, err := s.db.Exec(ctx, `UPDATE webhook_endpoint SET held_by = '', held_until = NULL WHERE id = $1 AND held_by = $2`, id, by)
	return err
}

// Waiting implements [webhook.Claims].
func (s *webhooks) Waiting(ctx context.Context, now time.Time, limit int) ([]webhook.Endpoint, error) {
	rows, err := s.db.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoint e WHERE e.removed_at IS NULL AND e.disabled_at IS NULL AND (e.held_until IS NULL OR e.held_until <= $1)
		AND (e.open_until IS NULL OR e.open_until <= $1) AND EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_at <= $1)
		ORDER BY e.id LIMIT $2`, now, limit)
	return db.Collect(rows, err, scanEndpoint)
}
