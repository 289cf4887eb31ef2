package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// machines implements [account.Machines].
type machines struct{ *Store }

var _ account.Machines = (*machines)(nil)

// Machines returns the store of machine tokens.
func (s *Store) Machines() account.Machines { return &machines{s} }

const machineColumns = `m.id, m.name, m.scopes, m.product_id, m.env, m.created_by, m.created_at, m.expires_at, m.revoked_at`

func scanMachine(row db.Row, more ...any) (account.Machine, error) {
	var m account.Machine
	var scopes string
	var expires, revoked *time.Time
	dest := []any{&m.ID, &m.Name, &scopes, &m.ProductID, &m.Env, &m.CreatedBy, &m.CreatedAt, &expires, &revoked}
	err := row.Scan(append(dest, more...)...)
	if errors.Is(err, db.ErrNoRows) {
		return m, licensing.ErrNotFound
	}
	if err != nil {
		return m, err
	}
	m.ExpiresAt, m.RevokedAt = instant(expires), instant(revoked)
	if err := json.Unmarshal([]byte(scopes), &m.Scopes); err != nil {
		return m, fmt.Errorf("machine token %s: scopes: %w", m.ID, err)
	}
	return m, nil
}

// AddMachine implements [account.Machines].
func (s *machines) AddMachine(ctx context.Context, m account.Machine, secret account.MachineSecret) error {
	scopes, err := jsonList(m.Scopes)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO machine_token (id, name, scopes, product_id, env, created_by, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		m.ID, m.Name, scopes, m.ProductID, string(m.Env), m.CreatedBy, m.CreatedAt, nullable(m.ExpiresAt))
	if err != nil {
		return err
	}
	return s.addMachineSecret(ctx, m.ID, 0, secret)
}

func (s *machines) addMachineSecret(ctx context.Context, machineID string, slot int64, secret account.MachineSecret) error {
	_, err := s.db.Exec(ctx, `INSERT INTO machine_secret (id, machine_id, slot, hint, head, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		secret.ID, machineID, slot, secret.Hint, secret.Digest.Head(), secret.Digest[:], secret.CreatedAt)
	return err
}

// Machine implements [account.Machines].
func (s *machines) Machine(ctx context.Context, id string) (account.Machine, error) {
	return scanMachine(s.db.QueryRow(ctx, `SELECT `+machineColumns+` FROM machine_token m WHERE m.id = $1`, id))
}

// ListMachines implements [account.Machines].
func (s *machines) ListMachines(ctx context.Context, after string, limit int) ([]account.Machine, error) {
	sql, args := new(narrowing).by("m.id <", after).statement(`SELECT `+machineColumns+` FROM machine_token m`, "m.id DESC", limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, func(row db.Row) (account.Machine, error) { return scanMachine(row) })
}

// MachineByDigest implements [account.Machines].
func (s *machines) MachineByDigest(ctx context.Context, head []byte) (account.MachineRecord, error) {
	var rec account.MachineRecord
	var hash []byte
	var expires *time.Time
	row := s.db.QueryRow(ctx, `SELECT `+machineColumns+`, s.id, s.hint, s.hash, s.created_at, s.expires_at
		FROM machine_secret s JOIN machine_token m ON m.id = s.machine_id WHERE s.head = $1`, head)
	m, err := scanMachine(row, &rec.Secret.ID, &rec.Secret.Hint, &hash, &rec.Secret.CreatedAt, &expires)
	if err != nil {
		return rec, err
	}
	rec.Machine, rec.Secret.ExpiresAt = m, instant(expires)
	if copy(rec.Secret.Digest[:], hash) != len(rec.Secret.Digest) {
		return rec, fmt.Errorf("machine secret %s: the hash has %d bytes", rec.Secret.ID, len(hash))
	}
	return rec, nil
}

// RevokeMachine implements [account.Machines].
func (s *machines) RevokeMachine(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE machine_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`, id, at)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "machine_token", id)
}

// RotateMachine implements [account.Machines]. The token's row is locked first; the unique slots refuse a third live secret
// whatever happens.
func (s *machines) RotateMachine(ctx context.Context, id string, fresh account.MachineSecret, now, until time.Time) error {
	var found string
	err := s.db.QueryRow(ctx, `SELECT id FROM machine_token WHERE id = $1 AND revoked_at IS NULL FOR UPDATE`, id).Scan(&found)
	if errors.Is(err, db.ErrNoRows) {
		return licensing.ErrNotFound
	}
	if err != nil {
		return err
	}
	slot, err := s.freeSlot(ctx, "machine_secret", "machine_id", id, now, until)
	if err != nil {
		return err
	}
	if slot < 0 {
		return account.ErrTwoSecrets
	}
	if err := s.addMachineSecret(ctx, id, slot, fresh); err != nil {
		return err
	}
	return s.changed(ctx, "machine_token", id)
}

// freeSlot ends the secrets of an object at until, unless they end before that, lets dead ones leave their slot, and returns the slot that a
// new secret takes, -1 when both are in use. So one that ends all others at once always finds room. The caller holds the object's row.
func (s *Store) freeSlot(ctx context.Context, table, column, id string, now, until time.Time) (int64, error) {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE ` + table + ` SET expires_at = $2 WHERE ` + column + ` = $1 AND slot IS NOT NULL AND (expires_at IS NULL OR expires_at > $2)`, Args: []any{id, until}},
		{SQL: `UPDATE ` + table + ` SET slot = NULL WHERE ` + column + ` = $1 AND slot IS NOT NULL AND expires_at <= $2`, Args: []any{id, now}},
	})
	if err != nil {
		return -1, err
	}
	rows, err := s.db.Query(ctx, `SELECT slot FROM `+table+` WHERE `+column+` = $1 AND slot IS NOT NULL`, id)
	used, err := db.Collect(rows, err, func(row db.Row) (slot int64, err error) { return slot, row.Scan(&slot) })
	switch {
	case err != nil:
		return -1, err
	case len(used) == 0:
		return 0, nil
	case len(used) == 1:
		return 1 - used[0], nil
	}
	return -1, nil
}
