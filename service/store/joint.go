package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

var _ bulk.Joint = (*Store)(nil)

// errJoint is a mistake in the caller: a transaction for several calls inside another one, or another one inside it.
var errJoint = errors.New("store: a transaction for several calls stands alone")

// InTxFor implements [bulk.Joint]: what [Store.InTx] promises one call holds for each of the calls, and all commit or none does. What fn
// writes is gathered and sent in one round trip, which commits it, so fn must write by methods alone that gather ([Store.write]), and read
// nothing of what it wrote. Audit rows are written with the calls' names ([audit.Recorder.RecordFor]).
func (s *Store) InTxFor(ctx context.Context, calls []*licensing.Call, fn func(ctx context.Context) error) error {
	if unitFrom(ctx) != nil {
		return errJoint
	}
	u := &unit{joint: &joint{targets: make(map[*licensing.Call]string, len(calls))}}
	if err := s.gather(context.WithValue(ctx, unitKey{}, u), u, calls, fn); err != nil {
		return fmt.Errorf("%w: %w", bulk.ErrUndone, err)
	}
	failpoint.Hit("before-commit")
	if _, err := s.db.Batch(ctx, u.joint.statements); err != nil {
		return undone(err)
	}
	for _, call := range calls {
		call.KeyKept = call.KeyKept || keeps(call)
	}
	failpoint.Hit("after-commit")
	return nil
}

func (s *Store) gather(ctx context.Context, u *unit, calls []*licensing.Call, fn func(ctx context.Context) error) error {
	if err := fn(ctx); err != nil {
		return err
	}
	for _, call := range calls {
		if _, audited := u.joint.targets[call]; call.Mutating && !audited {
			return errUnaudited
		}
	}
	return s.keepKeys(u, calls)
}

// undone is the error of a batch: one of the kinds that say what is wrong with a row says also that nothing was stored.
func undone(err error) error {
	for _, kind := range []error{db.ErrUnique, db.ErrForeignKey, db.ErrCheck, db.ErrNotNull, db.ErrText} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %w", bulk.ErrUndone, err)
		}
	}
	return err
}

// joint is the part of a unit that a transaction for several calls has.
type joint struct {
	targets    map[*licensing.Call]string // of the first audit row of each call
	statements []db.Statement
}

// write runs statements in the transaction in ctx, or gathers them in one for several calls.
func (s *Store) write(ctx context.Context, statements ...db.Statement) error {
	if u := unitFrom(ctx); u != nil && u.joint != nil {
		u.joint.statements = append(u.joint.statements, statements...)
		return nil
	}
	_, err := s.db.Batch(ctx, statements)
	return err
}

// noteFor remembers the target of the first audit row of one of several calls.
func (u *unit) noteFor(call *licensing.Call, target string) {
	if u.joint == nil {
		return
	}
	if _, twice := u.joint.targets[call]; !twice {
		u.joint.targets[call] = target
	}
}

// keeps reports whether the Idempotency-Key of a call is to be written.
func keeps(call *licensing.Call) bool { return call.Mutating && call.IdempotencyKey != "" }

// keepKeys writes the rows of the calls' Idempotency-Keys, in the order of the keys, so that two transactions with the same ones do not
// wait for each other. A call whose key was kept by an earlier transaction of its own is none for this.
func (s *Store) keepKeys(u *unit, calls []*licensing.Call) error {
	var keys []*keyRow
	for _, call := range calls {
		if !keeps(call) {
			continue
		}
		if call.KeyKept {
			return errKept
		}
		k, err := s.keyRow(call, u.joint.targets[call])
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b *keyRow) int {
		return cmp.Or(cmp.Compare(a.actor, b.actor), cmp.Compare(a.operation, b.operation), cmp.Compare(a.key, b.key))
	})
	rows := make([][]any, len(keys))
	for i, k := range keys {
		rows[i] = k.values()
	}
	u.joint.statements = append(u.joint.statements, db.Insert("idempotency", []string{"actor", "operation", "idem_key", "hash", "result_id", "secret", "secret_until", "at"}, rows))
	return nil
}

// errKept is a mistake in the caller: a call whose Idempotency-Key is kept already cannot share a transaction.
var errKept = errors.New("store: the Idempotency-Key of a call in a transaction for several is kept already")
