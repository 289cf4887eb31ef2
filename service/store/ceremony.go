package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/db"
)

// ceremonies implements [keyring.Requests] and [keyring.Exports].
type ceremonies struct{ *Store }

var (
	_ keyring.Requests = (*ceremonies)(nil)
	_ keyring.Exports  = (*ceremonies)(nil)
)

// KeysetRequests returns the store of what roots are asked to sign.
func (s *Store) KeysetRequests() keyring.Requests { return &ceremonies{s} }

// RootExports returns the store of the removals of roots.
func (s *Store) RootExports() keyring.Exports { return &ceremonies{s} }

// AddRequest implements [keyring.Requests].
func (s *ceremonies) AddRequest(ctx context.Context, r keyring.Request) error {
	change, err := json.Marshal(r.Wish)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO keyset_request (id, num, claims, change, reason, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.Num, string(r.Claims), string(change), r.Reason, r.By, r.CreatedAt)
	return err
}

// CloseRequest implements [keyring.Requests].
func (s *ceremonies) CloseRequest(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE keyset_request SET done_at = $2 WHERE id = $1 AND done_at IS NULL`, id, at)
	return n > 0, err
}

const requestColumns = `id, num, claims, change, reason, created_by, created_at, done_at`

func scanRequest(row db.Row) (r keyring.Request, err error) {
	var claims, change string
	var done *time.Time
	if err := row.Scan(&r.ID, &r.Num, &claims, &change, &r.Reason, &r.By, &r.CreatedAt, &done); err != nil {
		return r, missing(err)
	}
	r.Claims, r.DoneAt = []byte(claims), instant(done)
	if err := json.Unmarshal([]byte(change), &r.Wish); err != nil {
		return r, fmt.Errorf("keyset request %s: %w", r.ID, err)
	}
	return r, nil
}

// OpenRequests implements [keyring.Requests].
func (s *ceremonies) OpenRequests(ctx context.Context, num int64) ([]keyring.Request, error) {
	rows, err := s.db.Query(ctx, `SELECT `+requestColumns+` FROM keyset_request WHERE num = $1 AND done_at IS NULL ORDER BY id DESC LIMIT 100`, num)
	return db.Collect(rows, err, scanRequest)
}

// Request implements [keyring.Requests].
func (s *ceremonies) Request(ctx context.Context, id string) (keyring.Request, error) {
	return scanRequest(s.db.QueryRow(ctx, `SELECT `+requestColumns+` FROM keyset_request WHERE id = $1`, id))
}

// AddExport implements [keyring.Exports].
func (s *ceremonies) AddExport(ctx context.Context, e keyring.Export) error {
	if _, err := s.db.Exec(ctx, `UPDATE root_export SET state = 'withdrawn' WHERE kid = $1 AND state IN ('proposed', 'approved', 'taken') AND expires_at < $2`,
		e.KID, e.ProposedAt); err != nil {
		return err
	}
	_, err := s.db.Exec(ctx, `INSERT INTO root_export (id, kid, state, reason, alone, proposed_by, proposed_at, approved_by, expires_at, adds)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9)`, e.ID, e.KID, e.State, e.Reason, e.Alone, e.ProposedBy, e.ProposedAt, e.ExpiresAt, e.Adds)
	if errors.Is(err, db.ErrUnique) {
		return keyring.ErrExporting.Because(err)
	}
	return err
}

const exportColumns = `id, kid, state, reason, alone, proposed_by, proposed_at, approved_by, approved_at, taken_at, done_at, expires_at, adds`

func scanExport(row db.Row) (e keyring.Export, err error) {
	var approved, taken, done *time.Time
	err = row.Scan(&e.ID, &e.KID, &e.State, &e.Reason, &e.Alone, &e.ProposedBy, &e.ProposedAt, &e.ApprovedBy, &approved, &taken, &done, &e.ExpiresAt, &e.Adds)
	e.ApprovedAt, e.TakenAt, e.DoneAt = instant(approved), instant(taken), instant(done)
	return e, missing(err)
}

// Export implements [keyring.Exports].
func (s *ceremonies) Export(ctx context.Context, id string) (keyring.Export, error) {
	return scanExport(s.db.QueryRow(ctx, `SELECT `+exportColumns+` FROM root_export WHERE id = $1`, id))
}

// Exports implements [keyring.Exports].
func (s *ceremonies) Exports(ctx context.Context) ([]keyring.Export, error) {
	rows, err := s.db.Query(ctx, `SELECT `+exportColumns+` FROM root_export ORDER BY id DESC LIMIT 100`)
	return db.Collect(rows, err, scanExport)
}

// MoveExport implements [keyring.Exports].
func (s *ceremonies) MoveExport(ctx context.Context, e keyring.Export, from keyring.ExportState) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE root_export SET state = $3, approved_by = $4, approved_at = $5, taken_at = $6, done_at = $7, expires_at = $8 WHERE id = $1 AND state = $2`,
		e.ID, from, e.State, e.ApprovedBy, nullable(e.ApprovedAt), nullable(e.TakenAt), nullable(e.DoneAt), e.ExpiresAt)
	return n > 0, err
}

// DropRoot implements [keyring.Exports].
func (s *ceremonies) DropRoot(ctx context.Context, kid string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE signing_key SET sealed = NULL WHERE kid = $1 AND role = 'root' AND state = 'active' AND sealed IS NOT NULL`, kid)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "signing_key", kid)
}

// Person implements [keyring.Exports].
func (s *ceremonies) Person(ctx context.Context, actor string) (string, error) {
	return (&prices{s.Store}).Person(ctx, actor)
}
