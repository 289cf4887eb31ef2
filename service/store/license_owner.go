package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// licenseOwners implements [license.Transfers] and [license.Trials].
type licenseOwners struct{ *Store }

var (
	_ license.Transfers = (*licenseOwners)(nil)
	_ license.Trials    = (*licenseOwners)(nil)
)

// LicenseOwners returns the store of transfers and trials.
func (s *Store) LicenseOwners() *licenseOwners { return &licenseOwners{s} }

// AddTransfer implements [license.Transfers]. The license's row was changed in this transaction, so it is locked.
func (s *licenseOwners) AddTransfer(ctx context.Context, t license.Transferred, limit int64, since time.Time) (bool, error) {
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO license_transfer (id, license_id, from_owner, to_owner, seats, at)
			SELECT $1, l.id, $3, $4, l.seats_used, COALESCE($5, l.created_at) FROM license l WHERE l.id = $2
				AND ($6 = 0 OR (SELECT count(*) FROM license_transfer t WHERE t.license_id = $2 AND t.at > $7) < $6)`,
			Args: []any{t.ID, t.LicenseID, t.From, t.To, t.At, limit, since}},
		{SQL: `UPDATE activation SET state = 'released', released_at = $2, released_by = $3 WHERE license_id = $1 AND state = 'held'`,
			Args: []any{t.LicenseID, t.At, t.ID}},
		{SQL: `UPDATE license SET seats_used = 0, seats_kept = 0 WHERE id = $1`, Args: []any{t.LicenseID}},
		{SQL: `UPDATE license_renewal SET added = 0 WHERE license_id = $1 AND $2`, Args: []any{t.LicenseID, t.Anew}},
	})
	return err == nil && n[0] == 1, err
}

// CountTransfers implements [license.Transfers].
func (s *licenseOwners) CountTransfers(ctx context.Context, licenseID string, since time.Time) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM license_transfer WHERE license_id = $1 AND at > $2`, licenseID, since).Scan(&n)
	return n, err
}

// OwnerExists implements [license.Transfers].
func (s *licenseOwners) OwnerExists(ctx context.Context, o licensing.Owner) (bool, error) {
	var n int64
	err := s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM customer WHERE id = $1 AND disabled_at IS NULL) + (SELECT count(*) FROM organisation WHERE id = $1)`, o).Scan(&n)
	return n > 0, err
}

// TrialProduct implements [license.Trials].
func (s *licenseOwners) TrialProduct(ctx context.Context, slug string) (p license.TrialProduct, err error) {
	var state string
	err = s.db.QueryRow(ctx, `SELECT id, slug, key_prefix, state FROM product WHERE slug = $1`, slug).Scan(&p.ID, &p.Slug, &p.KeyPrefix, &state)
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	p.OnSale = state == "active"
	return p, err
}

// TrialsHad implements [license.Trials].
func (s *licenseOwners) TrialsHad(ctx context.Context, productID string, subjects []string) (map[string]bool, error) {
	out := map[string]bool{}
	if len(subjects) == 0 {
		return out, nil
	}
	args := []any{productID}
	marks := among(&args, subjects)
	rows, err := s.db.Query(ctx, `SELECT subject FROM trial WHERE product_id = $1 AND kind = 'customer' AND subject IN (`+marks+`)`, args...)
	had, err := db.Collect(rows, err, scanText)
	for _, subject := range had {
		out[subject] = true
	}
	return out, err
}

// AddTrial implements [license.Trials].
func (s *licenseOwners) AddTrial(ctx context.Context, productID, subject, licenseID string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO trial (product_id, kind, subject, license_id, at) VALUES ($1, 'customer', $2, $3, $4) ON CONFLICT (product_id, kind, subject) DO NOTHING`,
		productID, subject, licenseID, at)
	return n > 0, err
}
