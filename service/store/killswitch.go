package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/killswitch"
)

type switches struct{ *Store }

var _ killswitch.Store = (*switches)(nil)

// Switches returns the kill switches.
func (s *Store) Switches() killswitch.Store { return &switches{s} }

// Switches implements [killswitch.Store].
func (s *switches) Switches(ctx context.Context) ([]killswitch.State, error) {
	rows, err := s.db.Query(ctx, `SELECT name, product, is_off, reason, actor, at, until, version FROM kill_switch ORDER BY name, product`)
	return db.Collect(rows, err, func(r db.Row) (k killswitch.State, err error) {
		err = r.Scan(&k.Switch, &k.Product, &k.Off, &k.Reason, &k.Actor, &k.At, &k.Until, &k.Version)
		return k, err
	})
}

// FlipSwitch implements [killswitch.Store].
func (s *switches) FlipSwitch(ctx context.Context, k killswitch.State) (killswitch.State, error) {
	err := s.db.QueryRow(ctx, `INSERT INTO kill_switch (name, product, is_off, reason, actor, at, until, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
		ON CONFLICT (name, product) DO UPDATE SET is_off = excluded.is_off, reason = excluded.reason, actor = excluded.actor,
			at = excluded.at, until = excluded.until, version = kill_switch.version + 1
		RETURNING version`, k.Switch, k.Product, k.Off, k.Reason, k.Actor, k.At, k.Until).Scan(&k.Version)
	if err != nil {
		return k, err
	}
	return k, s.changed(ctx, killswitch.ChangeKind, killswitch.Target(k.Switch, k.Product))
}

// ProductExists fails with [licensing.ErrNotFound] when there is no product with the id.
func (s *Store) ProductExists(ctx context.Context, id string) error {
	var found string
	err := s.db.QueryRow(ctx, `SELECT id FROM product WHERE id = $1`, id).Scan(&found)
	if errors.Is(err, db.ErrNoRows) {
		return licensing.ErrNotFound
	}
	return err
}
