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

// mailed implements [account.Tokens].
type mailed struct{ *Store }

var _ account.Tokens = (*mailed)(nil)

// Tokens returns the store of mailed tokens.
func (s *Store) Tokens() account.Tokens { return &mailed{s} }

// AddToken implements [account.Tokens].
func (s *mailed) AddToken(ctx context.Context, t account.Token) error {
	_, err := s.db.Exec(ctx, `INSERT INTO account_token (id, customer_id, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		t.ID, t.PersonID, t.Digest[:], t.CreatedAt, t.ExpiresAt)
	return err
}

// UseToken implements [account.Tokens]. The person's row is locked first, as by whoever voids the token.
func (s *mailed) UseToken(ctx context.Context, d credential.Digest, at time.Time) (personID string, err error) {
	err = s.db.QueryRow(ctx, `SELECT id FROM customer WHERE id = (SELECT customer_id FROM account_token WHERE hash = $1) FOR UPDATE`, d[:]).Scan(&personID)
	if err != nil {
		return "", missing(err)
	}
	n, err := s.db.Exec(ctx, `UPDATE account_token SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`, d[:], at)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", licensing.ErrNotFound
	}
	_, err = s.db.Exec(ctx, `UPDATE account_token SET used_at = $2 WHERE `+inOrder("account_token", `customer_id = $1 AND used_at IS NULL`), personID, at)
	return personID, err
}

// Void implements [account.Tokens].
func (s *mailed) Void(ctx context.Context, personID string, at time.Time) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE account_token SET used_at = $2 WHERE ` + inOrder("account_token", `customer_id = $1 AND used_at IS NULL`), Args: []any{personID, at}},
		{SQL: `UPDATE email_change SET voided_at = $2 WHERE ` + inOrder("email_change", `customer_id = $1 AND voided_at IS NULL AND done_at IS NULL`), Args: []any{personID, at}},
		{SQL: `UPDATE sign_in_challenge SET used_at = $2 WHERE ` + inOrder("sign_in_challenge", `customer_id = $1 AND used_at IS NULL`), Args: []any{personID, at}},
	})
	return err
}

// AddEmailChange implements [account.Tokens].
func (s *mailed) AddEmailChange(ctx context.Context, c account.EmailChange) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE email_change SET voided_at = $2 WHERE customer_id = $1 AND voided_at IS NULL AND done_at IS NULL`, Args: []any{c.PersonID, c.CreatedAt}},
		{SQL: `INSERT INTO email_change (id, customer_id, email, old_hash, new_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			Args: []any{c.ID, c.PersonID, c.Email, c.Old[:], c.New[:], c.CreatedAt, c.ExpiresAt}},
	})
	return err
}

// HoldEmailChange implements [account.Tokens]. The person's row is locked first, as by whoever voids the change.
func (s *mailed) HoldEmailChange(ctx context.Context, d credential.Digest) (account.EmailChange, error) {
	var c account.EmailChange
	err := s.db.QueryRow(ctx, `SELECT id FROM customer WHERE id = (SELECT customer_id FROM email_change WHERE old_hash = $1 OR new_hash = $1) FOR UPDATE`, d[:]).Scan(&c.PersonID)
	if errors.Is(err, db.ErrNoRows) {
		return c, licensing.ErrNotFound
	}
	if err != nil {
		return c, err
	}
	var older, newer []byte
	var oldAt, newAt, doneAt, voidedAt *time.Time
	err = s.db.QueryRow(ctx, `SELECT id, email, old_hash, new_hash, old_at, new_at, created_at, expires_at, done_at, voided_at
		FROM email_change WHERE old_hash = $1 OR new_hash = $1 FOR UPDATE`, d[:]).Scan(&c.ID, &c.Email, &older, &newer, &oldAt, &newAt, &c.CreatedAt, &c.ExpiresAt, &doneAt, &voidedAt)
	copy(c.Old[:], older)
	copy(c.New[:], newer)
	c.OldAt, c.NewAt, c.DoneAt, c.VoidedAt = instant(oldAt), instant(newAt), instant(doneAt), instant(voidedAt)
	c.ConfirmsAt = "new"
	if d.Equal(older) {
		c.ConfirmsAt = "old"
	}
	return c, err
}

// PutEmailChange implements [account.Tokens].
func (s *mailed) PutEmailChange(ctx context.Context, c account.EmailChange) error {
	_, err := s.db.Exec(ctx, `UPDATE email_change SET old_at = $2, new_at = $3, done_at = $4 WHERE id = $1`, c.ID, nullable(c.OldAt), nullable(c.NewAt), nullable(c.DoneAt))
	return err
}

// EmailChanged implements [account.Tokens].
func (s *mailed) EmailChanged(ctx context.Context, personID string) (bool, error) {
	var done *time.Time
	err := s.db.QueryRow(ctx, `SELECT done_at FROM email_change WHERE customer_id = $1 ORDER BY id DESC LIMIT 1`, personID).Scan(&done)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return done != nil, err
}
