package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mintreu/mintreu/service/db"
)

type txKey struct{}

// scope is a transaction, or a savepoint of one.
type scope struct {
	owner *DB
	tx    pgx.Tx

	mu     sync.Mutex
	failed error // the first failure in this scope; the server refuses everything after it
	over   bool
}

func (d *DB) scopeFrom(ctx context.Context) *scope {
	if s, ok := ctx.Value(txKey{}).(*scope); ok && s.owner == d {
		return s
	}
	return nil
}

// Tx returns the transaction that ctx carries, for the job queue. It is nil outside InTx.
func (d *DB) Tx(ctx context.Context) pgx.Tx {
	if s := d.scopeFrom(ctx); s != nil {
		return s.tx
	}
	return nil
}

func (s *scope) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return db.ErrTxOver
	case s.failed != nil:
		return fmt.Errorf("%w: %w", db.ErrTxFailed, s.failed)
	}
	return nil
}

// note remembers a failed statement and passes the error on. s may be nil.
func (s *scope) note(err error) error {
	if s != nil && err != nil && !errors.Is(err, db.ErrNoRows) {
		s.mu.Lock()
		if s.failed == nil {
			s.failed = err
		}
		s.mu.Unlock()
	}
	return err
}

func (s *scope) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

// InTx implements [db.DB]. Transactions are READ COMMITTED; those that lost a race are run again after a short random pause.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if s := d.scopeFrom(ctx); s != nil {
		return d.nested(ctx, s, fn)
	}
	if err := d.guard.Check(); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := d.once(ctx, fn)
		if err == nil || !lostRace(err) {
			return err
		}
		if attempt >= d.config.Attempts {
			return gaveUp(attempt, err)
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// gaveUp is the end of a transaction that lost a race each time.
func gaveUp(attempts int, err error) error {
	return fmt.Errorf("%w: gave up after %d attempts: %w", db.ErrUnavailable, attempts, err)
}

// pause waits a random while that doubles with each attempt, from 2 ms on.
func pause(ctx context.Context, attempt int) error {
	longest := time.Millisecond << min(attempt+1, 7)
	timer := time.NewTimer(longest/2 + rand.N(longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (d *DB) once(ctx context.Context, fn func(ctx context.Context) error) error {
	conn, tx, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	leave := d.guard.Enter()
	defer leave()
	return d.run(ctx, &scope{owner: d, tx: tx}, fn)
}

// run runs fn in the scope and commits it, or rolls it back when fn fails, panics or leaves a failed statement behind.
func (d *DB) run(ctx context.Context, s *scope, fn func(ctx context.Context) error) error {
	committed := false
	defer func() {
		s.end()
		if !committed {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			_ = s.tx.Rollback(undo) // a connection that cannot roll back is closed by the pool
			cancel()
		}
	}()
	err := fn(context.WithValue(ctx, txKey{}, s))
	if err == nil {
		err = s.usable()
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, d.config.StatementTimeout*3/2)
	defer cancel()
	if err := s.tx.Commit(bounded); err != nil {
		return wrap(ctx, err)
	}
	committed = true
	return nil
}

// begin takes a connection and starts a transaction on it. Connections that died while idle are dropped and replaced, since
// nothing has happened on them yet.
func (d *DB) begin(ctx context.Context) (*pgxpool.Conn, pgx.Tx, error) {
	for attempt := 0; ; attempt++ {
		conn, err := d.acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		bounded, cancel := context.WithTimeout(ctx, d.config.AcquireTimeout)
		tx, err := conn.Begin(bounded)
		silent := bounded.Err() != nil
		cancel()
		if err == nil {
			return conn, tx, nil
		}
		dead := conn.Conn().IsClosed()
		conn.Release()
		if !dead || silent || attempt > int(d.config.MaxConns) {
			return nil, nil, wrap(ctx, err)
		}
	}
}

func (d *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, d.config.AcquireTimeout)
	defer cancel()
	conn, err := d.pool.Acquire(wait)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() == nil && wait.Err() != nil {
		return nil, fmt.Errorf("%w: no connection became free in %v: %w", db.ErrUnavailable, d.config.AcquireTimeout, err)
	}
	return nil, wrap(ctx, err)
}

// nested runs fn in a savepoint.
func (d *DB) nested(ctx context.Context, outer *scope, fn func(ctx context.Context) error) error {
	if err := outer.usable(); err != nil {
		return err
	}
	tx, err := outer.tx.Begin(ctx)
	if err != nil {
		return outer.note(wrap(ctx, err))
	}
	err = d.run(ctx, &scope{owner: d, tx: tx}, fn)
	if outer.tx.Conn().IsClosed() && err != nil {
		return outer.note(err)
	}
	return err
}

// safe reports that a failed statement never reached the server.
func safe(err error) bool { return pgconn.SafeToRetry(err) }
