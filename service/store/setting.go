package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// Setting reads a value of the installation by name, [licensing.ErrNotFound] when it was never set. Secrets are sealed by
// whoever owns them.
func (s *Store) Setting(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := s.db.QueryRow(ctx, `SELECT value FROM setting WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, db.ErrNoRows) {
		return nil, licensing.ErrNotFound
	}
	return value, err
}

// KeepSetting sets a value unless one is set already, and returns the value that stands: of many processes at a first start, all
// go on with the same one.
func (s *Store) KeepSetting(ctx context.Context, name string, value []byte) ([]byte, error) {
	if _, err := s.db.Exec(ctx, `INSERT INTO setting (name, value, updated_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO NOTHING`, name, value, s.clock.Now()); err != nil {
		return nil, err
	}
	return s.Setting(ctx, name)
}

// PutSetting sets a value, whatever was there.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte) error {
	_, err := s.db.Exec(ctx, `INSERT INTO setting (name, value, updated_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, name, value, s.clock.Now())
	return err
}

// SwapSetting sets a value if the old one still stands, and reports whether it did: of many who do so at once one is told yes.
func (s *Store) SwapSetting(ctx context.Context, name string, old, value []byte) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE setting SET value = $3, updated_at = $4 WHERE name = $1 AND value = $2`, name, old, value, s.clock.Now())
	return n == 1, err
}
