package store

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
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
	rows, err := s.db.Query(ctx, `SELECT kid, role, state, public_key, sealed, not_before, position, created_at, activated_at, retired_at, revoked_at, dropped_at
		FROM signing_key ORDER BY role, position`)
	return db.Collect(rows, err, func(r db.Row) (k keyring.Key, err error) {
		var public []byte
		var activated, retired, revoked, dropped *time.Time
		err = r.Scan(&k.KID, &k.Role, &k.State, &public, &k.Sealed, &k.NotBefore, &k.Position, &k.CreatedAt, &activated, &retired, &revoked, &dropped)
		k.Public, k.ActivatedAt, k.RetiredAt, k.RevokedAt, k.DroppedAt = public, instant(activated), instant(retired), instant(revoked), instant(dropped)
		return k, err
	})
}

// LatestKeyset implements [keyring.Store].
func (s *keys) LatestKeyset(ctx context.Context) (keyring.Keyset, error) {
	var k keyring.Keyset
	err := s.db.QueryRow(ctx, `SELECT num, kid, token, replaces_roots, at FROM keyset ORDER BY num DESC LIMIT 1`).Scan(&k.Num, &k.KID, &k.Text, &k.Roots, &k.At)
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

// RootKeysets implements [keyring.Store].
func (s *keys) RootKeysets(ctx context.Context) ([]keyring.Keyset, error) {
	rows, err := s.db.Query(ctx, `SELECT num, kid, token, replaces_roots, at FROM keyset WHERE replaces_roots ORDER BY num`)
	return db.Collect(rows, err, func(r db.Row) (k keyring.Keyset, err error) {
		return k, r.Scan(&k.Num, &k.KID, &k.Text, &k.Roots, &k.At)
	})
}

// Apply implements [keyring.Store]. The old key goes before the next is activated, so that at no statement two are active. All keys are held first:
// which of them a change is about, and in which order, depends on the change.
func (s *keys) Apply(ctx context.Context, c keyring.Change) (bool, error) {
	if _, err := s.db.Batch(ctx, []db.Statement{{SQL: `SELECT kid FROM signing_key ORDER BY kid FOR NO KEY UPDATE`}}); err != nil {
		return false, err
	}
	for _, step := range []struct {
		kid, sql string
		args     []any
	}{
		{c.Retire, `UPDATE signing_key SET state = 'retired', retired_at = $2, sealed = NULL WHERE kid = $1 AND role = 'signing' AND state = 'active'`, []any{c.At}},
		{c.Revoke, `UPDATE signing_key SET state = 'revoked', revoked_at = $2, sealed = NULL WHERE kid = $1 AND role = 'signing' AND state <> 'revoked'`, []any{c.At}},
		{c.Activate, `UPDATE signing_key SET state = 'active', activated_at = $2, not_before = COALESCE($3, not_before)
			WHERE kid = $1 AND role = 'signing' AND state = 'standby' AND sealed IS NOT NULL`, []any{c.At, nullable(c.ActiveFrom)}},
		{c.RootRetire, `UPDATE signing_key SET state = 'retired', retired_at = $2, sealed = NULL WHERE kid = $1 AND role = 'root' AND state = 'active'`, []any{c.At}},
	} {
		if step.kid == "" {
			continue
		}
		n, err := s.db.Exec(ctx, step.sql, append([]any{step.kid}, step.args...)...)
		if err != nil || n == 0 {
			return false, err
		}
	}
	failpoint.Hit("keys-moved")
	statements := make([]db.Statement, 0, len(c.Added)+len(c.Drop)+2)
	for i := range c.Added {
		statements = append(statements, addKey(&c.Added[i]))
	}
	for _, kid := range c.Drop {
		statements = append(statements, db.Statement{SQL: `UPDATE signing_key SET dropped_at = $2 WHERE kid = $1 AND state IN ('retired', 'revoked') AND dropped_at IS NULL`, Args: []any{kid, c.At}})
	}
	if c.RootActivate != "" {
		statements = append(statements, db.Statement{SQL: `UPDATE signing_key SET state = 'active', activated_at = $2 WHERE kid = $1 AND role = 'root' AND state = 'standby'`,
			Args: []any{c.RootActivate, c.At}})
	}
	if c.Keyset != nil {
		statements = append(statements, addKeyset(c.Keyset))
	}
	if len(statements) > 0 {
		switch _, err := s.db.Batch(ctx, statements); {
		case errors.Is(err, db.ErrUnique):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	failpoint.Hit("keyset-row")
	return true, s.changed(ctx, "signing_key", cmp.Or(c.Activate, c.Revoke, c.RootActivate, "added"))
}

func addKey(k *keyring.Key) db.Statement {
	return db.Statement{SQL: `INSERT INTO signing_key (kid, role, state, public_key, sealed, not_before, position, created_at, activated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		Args: []any{k.KID, k.Role, k.State, []byte(k.Public), k.Sealed, k.NotBefore, k.Position, k.CreatedAt, nullable(k.ActivatedAt)}}
}

func addKeyset(k *keyring.Keyset) db.Statement {
	return db.Statement{SQL: `INSERT INTO keyset (num, kid, token, replaces_roots, at) VALUES ($1, $2, $3, $4, $5)`, Args: []any{k.Num, k.KID, k.Text, k.Roots, k.At}}
}
