package lite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

type txKey struct{}

// tx is a transaction on the writer.
type tx struct {
	owner *DB
	sql   *sql.Tx

	mu         sync.Mutex
	savepoints int
	failed     error // the first failure since the last savepoint; nothing runs after it
	over       bool
}

// txFrom returns the transaction of this database that ctx carries, or nil.
func (d *DB) txFrom(ctx context.Context) *tx {
	if t, ok := ctx.Value(txKey{}).(*tx); ok && t.owner == d {
		return t
	}
	return nil
}

// SQLTx returns the transaction that ctx carries, for the job queue. It is nil outside InTx.
func (d *DB) SQLTx(ctx context.Context) *sql.Tx {
	if t := d.txFrom(ctx); t != nil {
		return t.sql
	}
	return nil
}

// usable fails when the transaction has ended or has failed.
func (t *tx) usable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over:
		return db.ErrTxOver
	case t.failed != nil:
		return fmt.Errorf("%w: %w", db.ErrTxFailed, t.failed)
	}
	return nil
}

// note remembers a failed statement, as PostgreSQL does, and passes the error on.
func (t *tx) note(err error) error {
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		t.mu.Lock()
		if t.failed == nil {
			t.failed = err
		}
		t.mu.Unlock()
	}
	return err
}

func (t *tx) end() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
}

// InTx implements [db.DB]. The transaction is exclusive from its start, so there is nothing to retry.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if t := d.txFrom(ctx); t != nil {
		return t.nested(ctx, fn)
	}
	conn, release, err := d.takeWriter(ctx)
	if err != nil {
		return err
	}
	defer release()
	stx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return wrap(ctx, err)
	}
	t := &tx{owner: d, sql: stx}
	began := d.config.Clock()
	leave := d.guard.Enter()
	committed := false
	defer func() {
		t.end()
		leave()
		if !committed {
			_ = stx.Rollback()
		}
	}()
	err = fn(context.WithValue(ctx, txKey{}, t))
	d.held(ctx, d.config.Clock().Sub(began))
	if err == nil {
		err = t.usable()
	}
	if err != nil {
		return err
	}
	if err := wrap(ctx, stx.Commit()); err != nil {
		return err
	}
	committed = true
	return nil
}

// held reports how long a transaction kept the writer.
func (d *DB) held(ctx context.Context, took time.Duration) {
	operation := licensing.CallFrom(ctx).Operation
	if d.config.OnHeld != nil {
		d.config.OnHeld(operation, took)
	}
	if took > HoldLimit {
		d.config.Logger.WarnContext(ctx, "transaction held the writer", "operation", operation, "milliseconds", took.Milliseconds())
	}
}

// takeWriter waits for the writing connection. The wait is bounded, so that a leaked transaction is an error, not a hang.
func (d *DB) takeWriter(ctx context.Context) (*sql.Conn, func(), error) {
	if d.writer == nil {
		return nil, nil, fmt.Errorf("%w: opened read-only", db.ErrUnavailable)
	}
	if err := d.guard.Check(); err != nil {
		return nil, nil, err
	}
	wait, cancel := context.WithTimeout(ctx, d.config.WriterWait)
	defer cancel()
	conn, err := d.writer.Conn(wait)
	if err != nil {
		if ctx.Err() == nil && wait.Err() != nil {
			err = fmt.Errorf("%w: the writer was busy for %v", db.ErrUnavailable, d.config.WriterWait)
		}
		return nil, nil, wrap(ctx, err)
	}
	return conn, func() { _ = conn.Close() }, nil
}

// nested runs fn in a savepoint.
func (t *tx) nested(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	if err := t.usable(); err != nil {
		return err
	}
	t.mu.Lock()
	t.savepoints++
	name := "s" + strconv.Itoa(t.savepoints)
	t.mu.Unlock()
	if _, err := t.sql.ExecContext(ctx, "SAVEPOINT "+name); err != nil {
		return t.note(wrap(ctx, err))
	}
	done := false
	defer func() {
		if done {
			return
		}
		if undo := t.undo(name); undo != nil {
			err = errors.Join(err, undo)
		}
	}()
	if err := fn(ctx); err != nil {
		return err
	}
	if err := t.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	_, err = t.sql.ExecContext(ctx, "RELEASE "+name)
	done = err == nil
	return t.note(wrap(ctx, err))
}

// undo rolls back to a savepoint and clears the failure, whatever became of the caller's context.
func (t *tx) undo(savepoint string) error {
	ctx := context.Background()
	if _, err := t.sql.ExecContext(ctx, "ROLLBACK TO "+savepoint+"; RELEASE "+savepoint); err != nil {
		return t.note(wrap(ctx, err))
	}
	t.mu.Lock()
	t.failed = nil
	t.mu.Unlock()
	return nil
}
