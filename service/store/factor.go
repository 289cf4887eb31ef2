package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/service/db"
)

// factors implements [account.Factors].
type factors struct{ *Store }

var _ account.Factors = (*factors)(nil)

// Factors returns the store of one-time codes.
func (s *Store) Factors() account.Factors { return &factors{s} }

// TOTP implements [account.Factors].
func (s *factors) TOTP(ctx context.Context, personID string) (account.TOTP, error) {
	t := account.TOTP{PersonID: personID}
	var confirmed *time.Time
	err := s.db.QueryRow(ctx, `SELECT secret, last_step, created_at, confirmed_at FROM totp WHERE customer_id = $1`, personID).
		Scan(&t.Secret, &t.LastStep, &t.CreatedAt, &confirmed)
	if errors.Is(err, db.ErrNoRows) {
		return t, licensing.ErrNotFound
	}
	t.ConfirmedAt = instant(confirmed)
	return t, err
}

// PutTOTP implements [account.Factors].
func (s *factors) PutTOTP(ctx context.Context, t account.TOTP) error {
	_, err := s.db.Exec(ctx, `INSERT INTO totp (customer_id, secret, last_step, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (customer_id) DO UPDATE SET secret = excluded.secret, last_step = excluded.last_step, created_at = excluded.created_at
			WHERE totp.confirmed_at IS NULL`, t.PersonID, t.Secret, t.LastStep, t.CreatedAt)
	return err
}

// ConfirmTOTP implements [account.Factors].
func (s *factors) ConfirmTOTP(ctx context.Context, personID string, codes []credential.Digest, at time.Time) error {
	todo := []db.Statement{
		{SQL: `UPDATE totp SET confirmed_at = $2 WHERE customer_id = $1`, Args: []any{personID, at}},
		{SQL: `UPDATE customer SET totp_at = $2, updated_at = $2 WHERE id = $1`, Args: []any{personID, at}},
		{SQL: `DELETE FROM recovery_code WHERE customer_id = $1`, Args: []any{personID}},
	}
	for _, d := range codes {
		todo = append(todo, db.Statement{SQL: `INSERT INTO recovery_code (customer_id, hash) VALUES ($1, $2)`, Args: []any{personID, d[:]}})
	}
	if _, err := s.db.Batch(ctx, todo); err != nil {
		return err
	}
	return s.changed(ctx, "customer", personID)
}

// RemoveTOTP implements [account.Factors].
func (s *factors) RemoveTOTP(ctx context.Context, personID string, at time.Time) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `DELETE FROM recovery_code WHERE customer_id = $1`, Args: []any{personID}},
		{SQL: `DELETE FROM totp WHERE customer_id = $1`, Args: []any{personID}},
		{SQL: `UPDATE customer SET totp_at = NULL, updated_at = $2 WHERE id = $1`, Args: []any{personID, at}},
	})
	if err != nil {
		return err
	}
	return s.changed(ctx, "customer", personID)
}

// UseStep implements [account.Factors].
func (s *factors) UseStep(ctx context.Context, personID string, step int64) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE totp SET last_step = $2 WHERE customer_id = $1 AND last_step < $2`, personID, step)
	return n == 1, err
}

// UseRecovery implements [account.Factors].
func (s *factors) UseRecovery(ctx context.Context, personID string, d credential.Digest, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE recovery_code SET used_at = $3 WHERE customer_id = $1 AND hash = $2 AND used_at IS NULL`, personID, d[:], at)
	return n == 1, err
}

// AddChallenge implements [account.Factors].
func (s *factors) AddChallenge(ctx context.Context, c account.Challenge) error {
	_, err := s.db.Exec(ctx, `INSERT INTO sign_in_challenge (id, customer_id, hash, remembered, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		c.ID, c.PersonID, c.Digest[:], c.Remembered, c.ExpiresAt)
	return err
}

// ChallengeByDigest implements [account.Factors].
func (s *factors) ChallengeByDigest(ctx context.Context, d credential.Digest) (account.Challenge, error) {
	c := account.Challenge{Digest: d}
	var used *time.Time
	err := s.db.QueryRow(ctx, `SELECT id, customer_id, remembered, expires_at, used_at FROM sign_in_challenge WHERE hash = $1`, d[:]).
		Scan(&c.ID, &c.PersonID, &c.Remembered, &c.ExpiresAt, &used)
	if errors.Is(err, db.ErrNoRows) {
		return c, licensing.ErrNotFound
	}
	c.UsedAt = instant(used)
	return c, err
}

// UseChallenge implements [account.Factors].
func (s *factors) UseChallenge(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE sign_in_challenge SET used_at = $2 WHERE id = $1 AND used_at IS NULL`, id, at)
	return n == 1, err
}
