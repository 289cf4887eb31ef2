package store

import (
	"context"
	"errors"
	"maps"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

var _ bulk.Joint = (*Store)(nil)

// errJoint is a mistake in the caller: a transaction for several calls inside another one.
var errJoint = errors.New("store: a transaction for several calls inside another one")

// InTxFor implements [bulk.Joint]: what [Store.InTx] promises one call holds for each of the calls, and all commit or none does. The audit
// rows of the calls are written with the calls' names ([audit.Recorder.RecordFor]).
func (s *Store) InTxFor(ctx context.Context, calls []*licensing.Call, fn func(ctx context.Context) error) error {
	if unitFrom(ctx) != nil {
		return errJoint
	}
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		u := &unit{targets: make(map[*licensing.Call]string, len(calls))}
		ctx = context.WithValue(ctx, unitKey{}, u)
		if err := fn(ctx); err != nil {
			return err
		}
		for _, call := range calls {
			if _, audited := u.targets[call]; call.Mutating && !audited {
				return errUnaudited
			}
		}
		if err := s.keepKeys(ctx, calls, u.targets); err != nil {
			return err
		}
		failpoint.Hit("before-commit")
		return nil
	})
	if err != nil {
		return err
	}
	for _, call := range calls {
		call.KeyKept = call.KeyKept || keeps(call)
	}
	failpoint.Hit("after-commit")
	return nil
}

// noteFor remembers the target of the first audit row of one of several calls.
func (u *unit) noteFor(call *licensing.Call, target string) {
	if u.targets == nil {
		return
	}
	if _, twice := u.targets[call]; !twice {
		u.targets[call] = target
	}
}

// keeps reports whether the Idempotency-Key of a call is to be written.
func keeps(call *licensing.Call) bool { return call.Mutating && call.IdempotencyKey != "" }

// keepKeys writes the rows of the calls' Idempotency-Keys. When one is taken, or two calls have the same, the error is [licensing.ErrIdempotent].
func (s *Store) keepKeys(ctx context.Context, calls []*licensing.Call, targets map[*licensing.Call]string) error {
	var rows [][]any
	for _, call := range calls {
		if !keeps(call) {
			continue
		}
		if call.KeyKept {
			if err := s.keepKey(ctx, call, targets[call]); err != nil {
				return err
			}
			continue
		}
		k, err := s.keyRow(call, targets[call])
		if err != nil {
			return err
		}
		rows = append(rows, k.values())
	}
	_, err := s.db.BulkInsert(ctx, "idempotency", []string{"actor", "operation", "idem_key", "hash", "result_id", "secret", "secret_until", "at"}, rows)
	if errors.Is(err, db.ErrUnique) {
		return licensing.ErrIdempotent
	}
	return err
}

// copy is a copy of the unit, for a savepoint to go back to.
func (u *unit) copy() unit {
	c := *u
	c.targets = maps.Clone(u.targets)
	return c
}
