// Package store holds all SQL of the domain, written once for both engines, and implements every module's Store interface.
// One file a module; migrations beside it. A statement used for customers takes an Owner and puts it in WHERE.
//
// # Locks
//
// Transactions change the same rows at once, in many processes on PostgreSQL. One that waits for another which waits for it costs both a second, and
// perhaps an answer. So all of them lock in one order, each what it needs of it:
//
//	a run of bulk work · all owners of the shop · a person · an organisation · an event of the payment provider · orders · a request to give a license
//	away · a product whose trials are given · licenses · the family of an owner's keys · keys · links of downloads · tickets · an endpoint of webhooks
//
// What belongs to one of these comes after it: tokens, seats and renewals after the license, credits after the key, uses after the link, messages and
// files after the ticket, deliveries after the endpoint, sessions, mailed tokens and codes after the person, renewals and passes after the session.
// Counters that everybody needs, of receipts and credit notes, come as late as can be, for what they number waits behind them.
//
// Of several rows of a kind the order is that of their ids, or of what else is unique: by inOrder, by ORDER BY … FOR UPDATE, or sorted by the caller.
// INSERT … ON CONFLICT waits like a lock for whoever writes the same, and a row with a foreign key shares a lock on the row that it names, so
// both count. A transaction asks nobody but the database. What changes this is shown by a test with storetest.Cross, which finds two that
// wait for each other.
package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// Store is the one unit of work over a database. Its accessors (Licenses, Orders, …) return the module's Store.
// It is safe for concurrent use.
type Store struct {
	db    db.DB
	clock licensing.Clock
	ids   licensing.IDs
	seal  licensing.Sealer
	terms *knownTerms
	watch *watchers
}

var _ licensing.Transactor = (*Store)(nil)

// errUnaudited is a mistake in an operation: it changes something and says so to nobody.
var errUnaudited = errors.New("store: a mutating operation committed without an audit row")

// New wraps a migrated database.
func New(database db.DB, clock licensing.Clock, ids licensing.IDs) *Store {
	return &Store{db: database, clock: clock, ids: ids, terms: new(knownTerms), watch: new(watchers)}
}

// WithSeal returns a Store over the same database that can keep secrets for the replay of an Idempotency-Key. Without a
// sealer such secrets are not kept, and a replay cannot show them again.
func (s *Store) WithSeal(seal licensing.Sealer) *Store {
	c := *s
	c.seal = seal
	return &c
}

// unit is the state of one outermost transaction.
type unit struct {
	audited bool
	target  string // of the first audit event
	joint   *joint // of a transaction for several calls; nil in others
	changes []change
}

// note remembers that an audit row was written, and the target of the first. Outside a transaction there is nothing to remember.
func (u *unit) note(target string) {
	if u == nil || u.audited {
		return
	}
	u.audited, u.target = true, target
}

type unitKey struct{}

func unitFrom(ctx context.Context) *unit {
	u, _ := ctx.Value(unitKey{}).(*unit)
	return u
}

// InTx implements [licensing.Transactor]; [Store.InTxFor] is the same for several calls. The outermost transaction of a mutating operation commits only with an audit row, and
// together with the row of its Idempotency-Key; when another request has taken the key, everything is rolled back and the
// error is [licensing.ErrIdempotent]. A nested call is a savepoint: what it wrote, audit rows too, goes when it fails.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if u := unitFrom(ctx); u != nil && u.joint != nil {
		return errJoint
	} else if u != nil {
		before := *u
		err := s.db.InTx(ctx, fn)
		if err != nil {
			*u = before
		}
		return err
	}
	call := licensing.CallFrom(ctx)
	keeps := keeps(call)
	var changes []change
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		u := &unit{}
		defer func() { changes = u.changes }()
		ctx = context.WithValue(ctx, unitKey{}, u)
		if err := fn(ctx); err != nil {
			return err
		}
		if call.Mutating && !u.audited {
			return errUnaudited
		}
		if keeps {
			if err := s.keepKey(ctx, call, u.target); err != nil {
				return err
			}
		}
		failpoint.Hit("before-commit")
		return nil
	})
	if err != nil {
		return err
	}
	s.watch.tell(changes)
	call.KeyKept = call.KeyKept || keeps
	failpoint.Hit("after-commit")
	return nil
}

// changed writes a row of the change feed in the transaction of the change, so that every replica drops what it cached of the
// object within two seconds. kind is the table's name.
func (s *Store) changed(ctx context.Context, kind, id string) error {
	_, err := s.db.Exec(ctx, `INSERT INTO change (kind, id, at) VALUES ($1, $2, $3)`, kind, id, s.clock.Now())
	if err == nil {
		s.noteChange(ctx, kind, id)
	}
	return err
}
