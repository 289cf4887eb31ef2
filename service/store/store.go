// Package store holds all SQL of the domain, written once for both engines, and implements every module's Store interface.
// One file a module; migrations beside it. A statement used for customers takes an Owner and puts it in WHERE.
package store

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// Store is the one unit of work over a database. Its accessors (Licenses, Orders, …) return the module's Store.
// It is safe for concurrent use.
type Store struct {
	db    db.DB
	clock licensing.Clock
	ids   licensing.IDs
}

var _ licensing.Transactor = (*Store)(nil)

// New wraps a migrated database.
func New(database db.DB, clock licensing.Clock, ids licensing.IDs) *Store {
	return &Store{db: database, clock: clock, ids: ids}
}

// InTx implements [licensing.Transactor].
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.db.InTx(ctx, fn)
}

// changed writes a row of the change feed in the transaction of the change, so that every replica drops what it cached of the
// object within two seconds. kind is the table's name.
func (s *Store) changed(ctx context.Context, kind, id string) error {
	_, err := s.db.Exec(ctx, `INSERT INTO change (kind, id, at) VALUES ($1, $2, $3)`, kind, id, s.clock.Now())
	return err
}
