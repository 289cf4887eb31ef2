package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/db"
)

// keys implements [keyring.Store].
type keys struct{ *Store }

var _ keyring.Store = (*keys)(nil)

// Keyring returns the store of signing keys and keysets.
func (s *Store) Keyring() keyring.Store { return &keys{s} }

// issuerSetting names the installation's iss among the settings.
const issuerSetting = "issuer"

// Issuer implements [keyring.Store].
func (s *keys) Issuer(ctx context.Context) (string, error) {
	iss, err := s.Setting(ctx, issuerSetting)
	if errors.Is(err, licensing.ErrNotFound) {
		return "", nil
	}
	return string(iss), err
}

// Keys implements [keyring.Store].
func (s *keys) Keys(ctx context.Context) ([]keyring.Key, error) {
	rows, err := s.db.Query(ctx, `SELECT kid, role, state, public_key, sealed, not_before, position, created_at, activated_at, retired_at, revoked_at
		FROM signing_key ORDER BY role, position`)
	return db.Collect(rows, err, func(r db.Row) (k keyring.Key, err error) {
		var public []byte
		var activated, retired, revoked *time.Time
		err = r.Scan(&k.KID, &k.Role, &k.State, &public, &k.Sealed, &k.NotBefore, &k.Position, &k.CreatedAt, &activated, &retired, &revoked)
		k.Public, k.ActivatedAt, k.RetiredAt, k.RevokedAt = public, instant(activated), instant(retired), instant(revoked)
		return k, err
	})
}

// LatestKeyset implements [keyring.Store].
func (s *keys) LatestKeyset(ctx context.Context) (keyring.Keyset, error) {
	var k keyring.Keyset
	err := s.db.QueryRow(ctx, `SELECT num, kid, token, at FROM keyset ORDER BY num DESC LIMIT 1`).Scan(&k.Num, &k.KID, &k.Text, &k.At)
	if errors.Is(err, db.ErrNoRows) {
		return k, nil
	}
	return k, err
}

// Found implements [keyring.Store]: the one row of the issuer decides who was first.
func (s *keys) Found(ctx context.Context, iss string, made []keyring.Key, set keyring.Keyset, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO setting (name, value, updated_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
		issuerSetting, []byte(iss), at)
	if err != nil || n == 0 {
		return false, err
	}
	statements := make([]db.Statement, 0, len(made)+1)
	for i := range made {
		statements = append(statements, addKey(&made[i]))
	}
	if _, err := s.db.Batch(ctx, append(statements, addKeyset(&set))); err != nil {
		return false, err
	}
	return true, s.changed(ctx, "signing_key", made[0].KID)
}

// Rotate implements [keyring.Store]. The old key is retired before the next is activated, so that at no statement two are active.
func (s *keys) Rotate(ctx context.Context, r keyring.Rotation) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE signing_key SET state = 'retired', retired_at = $2 WHERE kid = $1 AND role = 'signing' AND state = 'active'`,
		r.Retire, r.At)
	if err != nil || n == 0 {
		return false, err
	}
	n, err = s.db.Exec(ctx, `UPDATE signing_key SET state = 'active', activated_at = $2 WHERE kid = $1 AND role = 'signing' AND state = 'standby'`,
		r.Activate, r.At)
	if err != nil || n == 0 {
		return false, err
	}
	if r.Added != nil {
		_, err := s.db.Batch(ctx, []db.Statement{addKey(r.Added), addKeyset(r.Keyset)})
		if errors.Is(err, db.ErrUnique) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, s.changed(ctx, "signing_key", r.Activate)
}

func addKey(k *keyring.Key) db.Statement {
	return db.Statement{SQL: `INSERT INTO signing_key (kid, role, state, public_key, sealed, not_before, position, created_at, activated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		Args: []any{k.KID, k.Role, k.State, []byte(k.Public), k.Sealed, k.NotBefore, k.Position, k.CreatedAt, nullable(k.ActivatedAt)}}
}

func addKeyset(k *keyring.Keyset) db.Statement {
	return db.Statement{SQL: `INSERT INTO keyset (num, kid, token, at) VALUES ($1, $2, $3, $4)`, Args: []any{k.Num, k.KID, k.Text, k.At}}
}
