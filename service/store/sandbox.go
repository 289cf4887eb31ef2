package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// sandboxes implements [sandbox.Store].
type sandboxes struct{ *Store }

var _ sandbox.Store = (*sandboxes)(nil)

// Sandbox returns the objects of the payment sandbox.
func (s *Store) Sandbox() sandbox.Store { return &sandboxes{s} }

const sandboxColumns = `kind, id, ref, rev, at, due, data`

func scanSandbox(row db.Row) (sandbox.Record, error) {
	var r sandbox.Record
	var due *time.Time
	var data string
	err := row.Scan(&r.Kind, &r.ID, &r.Ref, &r.Rev, &r.At, &due, &data)
	if due != nil {
		r.Due = *due
	}
	r.Data = []byte(data)
	if errors.Is(err, db.ErrNoRows) {
		err = sandbox.ErrMissing
	}
	return r, err
}

// Get implements [sandbox.Store].
func (s *sandboxes) Get(ctx context.Context, kind, id string) (sandbox.Record, error) {
	return scanSandbox(s.db.QueryRow(ctx, `SELECT `+sandboxColumns+` FROM sandbox_object WHERE kind = $1 AND id = $2`, kind, id))
}

// List implements [sandbox.Store].
func (s *sandboxes) List(ctx context.Context, q sandbox.Query) ([]sandbox.Record, error) {
	until, last := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "~" // behind every id
	if !q.Until.IsZero() {
		until = q.Until
	}
	if q.After != nil && !q.After.At.After(until) {
		until, last = q.After.At, q.After.ID
	}
	rows, err := s.db.Query(ctx, `SELECT `+sandboxColumns+` FROM sandbox_object
		WHERE kind = $1 AND ($2 = '' OR ref = $2) AND at >= $3 AND (at < $4 OR at = $4 AND id < $5)
		ORDER BY at DESC, id DESC LIMIT $6`, q.Kind, q.Ref, q.Since.UTC(), until, last, q.Limit)
	return db.Collect(rows, err, scanSandbox)
}

// Due implements [sandbox.Store].
func (s *sandboxes) Due(ctx context.Context, before time.Time, limit int) ([]sandbox.Record, error) {
	rows, err := s.db.Query(ctx, `SELECT `+sandboxColumns+` FROM sandbox_object WHERE due IS NOT NULL AND due <= $1 ORDER BY due, id LIMIT $2`, before, limit)
	return db.Collect(rows, err, scanSandbox)
}

// Write implements [sandbox.Store].
func (s *sandboxes) Write(ctx context.Context, records []sandbox.Record) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		for _, r := range records {
			if err := s.write(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, db.ErrUnique) {
		return sandbox.ErrConflict
	}
	return err
}

func (s *sandboxes) write(ctx context.Context, r sandbox.Record) error {
	var due *time.Time
	if !r.Due.IsZero() {
		due = &r.Due
	}
	if r.Rev == 0 {
		_, err := s.db.Exec(ctx, `INSERT INTO sandbox_object (`+sandboxColumns+`) VALUES ($1, $2, $3, 1, $4, $5, $6)`, r.Kind, r.ID, r.Ref, r.At, due, string(r.Data))
		return err
	}
	n, err := s.db.Exec(ctx, `UPDATE sandbox_object SET ref = $3, rev = rev + 1, at = $4, due = $5, data = $6 WHERE kind = $1 AND id = $2 AND rev = $7`,
		r.Kind, r.ID, r.Ref, r.At, due, string(r.Data), r.Rev)
	if err == nil && n == 0 {
		return sandbox.ErrConflict
	}
	return err
}
