package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// lapses is when the job of lapses looks at l.
func lapses(l *license.License) *time.Time {
	at, _ := l.LapsesAt()
	return nullable(at)
}

// SaveLicense implements [license.Store]. seats_kept remembers what a lowering of the seats left in place.
func (s *licenses) SaveLicense(ctx context.Context, l license.License, was int64) (bool, error) {
	texts := make([]string, 3)
	for i, value := range []any{l.Terms, l.Entitlements, l.EntUntil} {
		text, err := json.Marshal(value)
		if err != nil {
			return false, err
		}
		texts[i] = string(text)
	}
	n, err := s.db.Exec(ctx, `UPDATE license SET licensee = $3, entitlements = $4, valid_until = $5, updates_until = $6, started_at = $7,
			seats = $8, seats_max = $9,
			seats_kept = CASE WHEN CAST($9 AS bigint) >= 0 AND seats_used > CAST($9 AS bigint) THEN seats_used ELSE 0 END,
			key_lookup = $10, key_sealed = $11, key_hint = $12, updated_at = $13, owner = $14, policy_id = $15, terms = $16, device_match = $17,
			ent_until = $18, term_added = $19, lapses_at = $20, policy_version = $21, version = version + 1
		WHERE id = $1 AND version = $2 AND state <> 'revoked'`,
		l.ID, was, l.Licensee, texts[1], nullable(l.ValidUntil), nullable(l.UpdatesUntil), nullable(l.StartedAt),
		l.Seats, l.SeatsMax, l.KeyLookup, l.KeySealed, l.KeyHint, l.UpdatedAt, l.Owner, l.PolicyID, texts[0], l.Terms.Match, texts[2], l.TermAdded, lapses(&l), l.PolicyVersion)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "license", l.ID)
}

// DueToLapse implements [license.Store].
func (s *licenses) DueToLapse(ctx context.Context, now time.Time, limit int) ([]license.License, error) {
	rows, err := s.db.Query(ctx, `SELECT `+licenseColumns+fromLicense+`WHERE l.state = 'active' AND l.lapses_at <= $1
			AND NOT (l.terms LIKE '%"expired":"revoke"%' AND EXISTS (SELECT 1 FROM order_renewal g WHERE g.license_id = l.id AND g.state = 'suspended'))
		ORDER BY l.lapses_at LIMIT $2`, now, limit)
	return db.Collect(rows, err, scanLicense)
}

// LicenseSeats returns the store of what licenses need of their seats.
func (s *Store) LicenseSeats() license.Seating { return &licenses{s} }

// EndlessSeats implements [license.Seating]. A seat that was given before any lease has one that ended at once.
func (s *licenses) EndlessSeats(ctx context.Context, id string) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM activation WHERE license_id = $1 AND state = 'held' AND lease_until IS NULL`, id).Scan(&n)
	return n, err
}

// RetimeSeats implements [license.Seating].
func (s *licenses) RetimeSeats(ctx context.Context, id string, diesAt, lent time.Time) error {
	if lent.IsZero() {
		_, err := s.db.Exec(ctx, `UPDATE activation SET borrowed_until = NULL, dies_at = CASE WHEN lease_until > $2 THEN lease_until ELSE $2 END
			WHERE license_id = $1 AND state = 'held'`, id, nullable(diesAt))
		return err
	}
	_, err := s.db.Exec(ctx, `UPDATE activation SET dies_at = CASE
			WHEN lease_until IS NULL THEN NULL
			WHEN borrowed_until > $3 AND lease_until < borrowed_until THEN borrowed_until
			WHEN borrowed_until > $3 OR lease_until > $2 THEN lease_until ELSE $2 END
		WHERE license_id = $1 AND state = 'held'`, id, nullable(diesAt), lent)
	return err
}

// renewals implements [license.Renewals].
type renewals struct{ *Store }

var _ license.Renewals = (*renewals)(nil)

// LicenseRenewals returns the store of what licenses were renewed for.
func (s *Store) LicenseRenewals() license.Renewals { return &renewals{s} }

// AddRenewal implements [license.Renewals].
func (s *renewals) AddRenewal(ctx context.Context, k license.Kept, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO license_renewal (id, license_id, source_kind, source_id, ends_at, updates_until, added, added_updates, was_ends_at, was_updates_until, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (source_kind, source_id) DO NOTHING`,
		k.ID, k.License, k.Source.Kind, k.Source.ID, nullable(k.Gave.ValidUntil), nullable(k.Gave.UpdatesUntil), k.Added, k.AddedUpdates,
		nullable(k.Was.ValidUntil), nullable(k.Was.UpdatesUntil), at)
	return n > 0, err
}

// RenewalBy implements [license.Renewals].
func (s *renewals) RenewalBy(ctx context.Context, source license.Source) (k license.Kept, err error) {
	var ends, updates, was, wasUpdates, undone *time.Time
	err = s.db.QueryRow(ctx, `SELECT id, license_id, source_kind, source_id, ends_at, updates_until, added, added_updates, was_ends_at, was_updates_until, undone_at
		FROM license_renewal WHERE source_kind = $1 AND source_id = $2`, source.Kind, source.ID).
		Scan(&k.ID, &k.License, &k.Source.Kind, &k.Source.ID, &ends, &updates, &k.Added, &k.AddedUpdates, &was, &wasUpdates, &undone)
	k.Gave.ValidUntil, k.Gave.UpdatesUntil, k.Was.ValidUntil, k.Was.UpdatesUntil = instant(ends), instant(updates), instant(was), instant(wasUpdates)
	k.UndoneAt = instant(undone)
	return k, missing(err)
}

// TurnRenewal implements [license.Renewals]. The license is held first, as by a transfer that forgets its renewals.
func (s *renewals) TurnRenewal(ctx context.Context, id string, undone bool, at time.Time) (bool, error) {
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `SELECT id FROM license WHERE id = (SELECT license_id FROM license_renewal WHERE id = $1) FOR NO KEY UPDATE`, Args: []any{id}},
		{SQL: `UPDATE license_renewal SET undone_at = CASE WHEN $2 THEN COALESCE($3, at) END WHERE id = $1 AND (undone_at IS NULL) = $2`, Args: []any{id, undone, at}},
	})
	return err == nil && n[1] > 0, err
}
