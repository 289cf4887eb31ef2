package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// licenses implements [license.Store].
type licenses struct{ *Store }

var _ license.Store = (*licenses)(nil)

// Licenses returns the store of licenses.
func (s *Store) Licenses() license.Store { return &licenses{s} }

// licenseColumns are read by scanLicense, in this order; l is the license, t its current token.
const licenseColumns = `l.id, l.source_kind, l.source_id, l.product_id, l.product_slug, l.plan_id, l.plan_code, l.policy_id,
	l.owner, l.env, l.licensee, l.state, l.state_reason, l.terms, l.policy_version, l.entitlements, l.ent_until,
	l.valid_until, l.updates_until, l.started_at, l.term_added, l.seats, l.seats_max, l.seats_used, l.key_prefix, l.key_lookup, l.key_sealed, l.key_hint, l.version,
	l.created_at, l.updated_at, l.revoked_at, l.held_at, l.disputed_at, l.lapsed_at,
	t.jti, t.list, t.idx, t.kid, t.token, t.created_at, t.signed_at, t.first_jti`

// fromLicense joins the newest token: the current one, or the last one of a revoked license.
const fromLicense = ` FROM license l JOIN license_token t ON t.jti = l.token_jti `

func scanLicense(row db.Row) (license.License, error) {
	var l license.License
	var terms, entitlements, ends string
	var validUntil, updatesUntil, startedAt, revokedAt, held, disputed, lapsed *time.Time
	err := row.Scan(&l.ID, &l.Source.Kind, &l.Source.ID, &l.ProductID, &l.ProductSlug, &l.PlanID, &l.PlanCode, &l.PolicyID,
		&l.Owner, &l.Env, &l.Licensee, &l.State, &l.Reason, &terms, &l.PolicyVersion, &entitlements, &ends, &validUntil, &updatesUntil, &startedAt, &l.TermAdded,
		&l.Seats, &l.SeatsMax, &l.SeatsUsed, &l.KeyPrefix, &l.KeyLookup, &l.KeySealed, &l.KeyHint, &l.Version,
		&l.CreatedAt, &l.UpdatedAt, &revokedAt, &held, &disputed, &lapsed,
		&l.Token.JTI, &l.Token.List, &l.Token.Index, &l.Token.KID, &l.Token.Text, &l.Token.CreatedAt, &l.Token.SignedAt, &l.Token.First)
	if errors.Is(err, db.ErrNoRows) {
		return l, licensing.ErrNotFound
	}
	if err != nil {
		return l, err
	}
	l.ValidUntil, l.UpdatesUntil, l.StartedAt, l.RevokedAt = instant(validUntil), instant(updatesUntil), instant(startedAt), instant(revokedAt)
	l.HeldAt, l.DisputedAt, l.LapsedAt = instant(held), instant(disputed), instant(lapsed)
	l.Token.LicenseID = l.ID
	if err := json.Unmarshal([]byte(terms), &l.Terms); err != nil {
		return l, fmt.Errorf("license %s: terms: %w", l.ID, err)
	}
	if err := json.Unmarshal([]byte(entitlements), &l.Entitlements); err != nil {
		return l, fmt.Errorf("license %s: entitlements: %w", l.ID, err)
	}
	if err := json.Unmarshal([]byte(ends), &l.EntUntil); err != nil {
		return l, fmt.Errorf("license %s: ends of entitlements: %w", l.ID, err)
	}
	return l, nil
}

// namedColumns are licenseColumns and the name of the product, for what people read.
const namedColumns = licenseColumns + `, COALESCE((SELECT p.name FROM product p WHERE p.id = l.product_id), '')`

func scanNamed(row db.Row) (license.License, error) {
	var name string
	l, err := scanLicense(joined{row, []any{&name}})
	l.ProductName = name
	return l, err
}

// AddLicense implements [license.Store].
func (s *licenses) AddLicense(ctx context.Context, l license.License) (bool, error) {
	terms, err := json.Marshal(l.Terms)
	if err != nil {
		return false, err
	}
	entitlements, err := json.Marshal(l.Entitlements)
	if err != nil {
		return false, err
	}
	n, err := s.db.Exec(ctx, `INSERT INTO license (id, source_kind, source_id, product_id, product_slug, plan_id, plan_code, policy_id,
			owner, env, licensee, state, state_reason, terms, entitlements, valid_until, updates_until, started_at,
			seats, seats_max, seats_used, seats_kept, device_match, seat_taken_by, key_prefix, key_lookup, key_sealed, key_hint, token_jti, version,
			lapses_at, created_at, updated_at, held_at, held_why)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $29, $13, $14, $15, $16, $17,
			$18, $19, 0, 0, $20, '', $21, $22, $23, $24, $25, $26, $28, $27, $27, $30, $31)
		ON CONFLICT (source_kind, source_id) DO NOTHING`,
		l.ID, l.Source.Kind, l.Source.ID, l.ProductID, l.ProductSlug, l.PlanID, l.PlanCode, l.PolicyID,
		l.Owner, l.Env, l.Licensee, l.State, string(terms), string(entitlements),
		nullable(l.ValidUntil), nullable(l.UpdatesUntil), nullable(l.StartedAt),
		l.Seats, l.SeatsMax, l.Terms.Match, l.KeyPrefix, l.KeyLookup, l.KeySealed, l.KeyHint, l.Token.JTI, l.Version, l.CreatedAt, lapses(&l), l.Reason, nullable(l.HeldAt), heldWhy(&l))
	if err != nil || n == 0 {
		return false, err
	}
	failpoint.Hit("license-row")
	if err := s.addToken(ctx, l.Token); err != nil {
		return false, err
	}
	failpoint.Hit("token-signed")
	return true, s.changed(ctx, "license", l.ID)
}

// addToken stores a current token at its place in a status list.
func (s *Store) addToken(ctx context.Context, t license.Token) error {
	n, err := s.db.Exec(ctx, `INSERT INTO license_token (jti, license_id, list, idx, current, kid, token, created_at, signed_at, first_jti)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (list, idx) DO NOTHING`,
		t.JTI, t.LicenseID, t.List, t.Index, true, t.KID, t.Text, t.CreatedAt, t.SignedAt, t.First)
	if err == nil && n == 0 {
		return license.ErrCollision
	}
	return err
}

// LicenseByKey implements [license.Store].
func (s *licenses) LicenseByKey(ctx context.Context, lookup []byte) (license.License, error) {
	return scanLicense(s.db.QueryRow(ctx, `SELECT `+licenseColumns+fromLicense+`WHERE l.key_lookup = $1`, lookup))
}

// LicenseByID implements [license.Store].
func (s *licenses) LicenseByID(ctx context.Context, id string) (license.License, error) {
	return scanNamed(s.db.QueryRow(ctx, `SELECT `+namedColumns+fromLicense+`WHERE l.id = $1`, id))
}

// LicenseOf implements [license.Store].
func (s *licenses) LicenseOf(ctx context.Context, id string, owner licensing.Owner) (license.License, error) {
	return scanNamed(s.db.QueryRow(ctx, `SELECT `+namedColumns+fromLicense+`WHERE l.id = $1 AND l.owner = $2`, id, owner))
}

// LicenseFrom implements [license.Store].
func (s *licenses) LicenseFrom(ctx context.Context, src license.Source) (license.License, error) {
	return scanLicense(s.db.QueryRow(ctx, `SELECT `+licenseColumns+fromLicense+`WHERE l.source_kind = $1 AND l.source_id = $2`,
		src.Kind, src.ID))
}

// ListLicenses implements [license.Store]: newest first.
func (s *licenses) ListLicenses(ctx context.Context, f license.Filter, page licensing.Page) (licensing.List[license.License], error) {
	limit := pageSize(page)
	list := narrowLicenses(f).by("l.id <", page.Cursor)
	sql, args := list.statement(`SELECT `+namedColumns+fromLicense, "l.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanNamed)
	if err != nil {
		return licensing.List[license.License]{}, err
	}
	return cut(items, limit, func(l license.License) string { return l.ID }), nil
}

// narrowLicenses is the WHERE of a filter.
func narrowLicenses(f license.Filter) *narrowing {
	return new(narrowing).by("l.owner =", string(f.Owner)).by("l.product_id =", f.ProductID).by("l.state =", string(f.State)).
		by("l.env =", string(f.Env)).by("l.id =", f.ID).by("l.key_hint =", f.Hint).
		byWrapped("l.owner IN (SELECT c.id FROM customer c WHERE c.email =", f.Email, ")")
}

// SetState implements [license.Store].
func (s *licenses) SetState(ctx context.Context, t license.Turn) (bool, error) {
	if !t.Revoke {
		return s.setStopped(ctx, t)
	}
	n, err := s.db.Exec(ctx, `UPDATE license SET state = 'revoked', state_reason = $2, revoked_at = $3, updated_at = $3, version = version + 1
		WHERE id = $1 AND state <> 'revoked' AND ($4 = '' OR state = $4)`, t.ID, t.Reason, t.At, t.Only)
	if err != nil || n == 0 {
		return false, err
	}
	// The row above is locked, so no seat can be taken between these and the commit.
	if _, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE activation SET state = 'revoked', released_at = $2, released_by = 'license' WHERE license_id = $1 AND state = 'held'`,
			Args: []any{t.ID, t.At}},
		{SQL: `UPDATE license SET seats_used = 0, seats_kept = 0 WHERE id = $1`, Args: []any{t.ID}},
		{SQL: `UPDATE license_token SET ended_at = $2, current = $3 WHERE license_id = $1 AND current`, Args: []any{t.ID, t.At, false}},
	}); err != nil {
		return false, err
	}
	return true, s.changed(ctx, "license", t.ID)
}

// stopMarks are where it is noted since when, and why, each suspends a license. That its term is over needs no reason of its own.
var stopMarks = map[license.Stop]struct{ at, why string }{
	license.ByStaff: {"held_at", ", held_why = $6"}, license.ByDispute: {"disputed_at", ", disputed_why = $6"}, license.ByLapse: {"lapsed_at", ", state_reason = $6"},
}

// setStopped notes what suspends a license, or does so no longer, and lets state and reason follow from all that does.
func (s *licenses) setStopped(ctx context.Context, t license.Turn) (bool, error) {
	mark, why := stopMarks[t.By], t.Reason
	var since *time.Time
	if t.On {
		since = &t.At
	} else if t.By != license.ByLapse {
		why = ""
	}
	n, err := s.db.Exec(ctx, `UPDATE license SET `+mark.at+` = $2`+mark.why+`, updated_at = $3, version = version + 1
		WHERE id = $1 AND state <> 'revoked' AND (`+mark.at+` IS NULL) = $4 AND ($5 = '' OR state = $5)`, t.ID, since, t.At, t.On, t.Only, why)
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := s.db.Exec(ctx, `UPDATE license SET
			state = CASE WHEN held_at IS NULL AND disputed_at IS NULL AND lapsed_at IS NULL THEN 'active' ELSE 'suspended' END,
			state_reason = CASE WHEN held_at IS NOT NULL THEN held_why WHEN disputed_at IS NOT NULL THEN disputed_why WHEN lapsed_at IS NOT NULL THEN $3 ELSE $2 END
		WHERE id = $1`, t.ID, t.Reason, license.ReasonExpired); err != nil {
		return false, err
	}
	return true, s.changed(ctx, "license", t.ID)
}
