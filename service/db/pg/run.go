package pg

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mintreu/mintreu/service/db"
)

// executor is what a pool's connection and a transaction have in common.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error)
}

// lease is an executor and how to give it back.
type lease struct {
	executor
	scope   *scope // nil outside a transaction
	ctx     context.Context
	conn    *pgx.Conn
	release func()
}

// broken reports that the connection is lost.
func (l *lease) broken() bool { return l.conn.IsClosed() }

// lease returns the transaction of ctx, or a connection of the pool. A context without a deadline gets one, so that a server
// that went silent cannot hold a caller for ever.
func (d *DB) lease(ctx context.Context) (*lease, error) {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if _, has := ctx.Deadline(); !has {
		bounded, cancel = context.WithTimeout(ctx, d.config.StatementTimeout*3/2)
	}
	if s := d.scopeFrom(ctx); s != nil {
		if err := s.usable(); err != nil {
			cancel()
			return nil, err
		}
		return &lease{executor: s.tx, scope: s, ctx: bounded, conn: s.tx.Conn(), release: cancel}, nil
	}
	if err := d.guard.Check(); err != nil {
		cancel()
		return nil, err
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	var once sync.Once
	release := func() { once.Do(func() { conn.Release(); cancel() }) }
	return &lease{executor: conn, ctx: bounded, conn: conn.Conn(), release: release}, nil
}

// again runs fn with a lease. Outside a transaction it runs fn again on another connection when the statement never reached
// the server, and a statement that only reads also when its connection broke; and, as [DB.InTx] does, when the statement, which is a
// transaction of its own, lost a race.
func (d *DB) again(ctx context.Context, reads bool, fn func(l *lease) error) error {
	for attempt := int32(0); ; attempt++ {
		l, err := d.lease(ctx)
		if err != nil {
			return err
		}
		err = fn(l)
		if err == nil {
			return nil
		}
		alone, lost := l.scope == nil, lostRace(err)
		repeat := alone && ctx.Err() == nil && attempt <= d.config.MaxConns && (safe(err) || reads && l.broken() && l.ctx.Err() == nil)
		l.release()
		switch {
		case repeat:
			continue
		case alone && lost && int(attempt)+1 < d.config.Attempts:
			if err := pause(ctx, int(attempt)+1); err != nil {
				return err
			}
			continue
		case alone && lost:
			return gaveUp(d.config.Attempts, err)
		}
		return l.scope.note(wrap(ctx, err))
	}
}

// Exec implements [db.Runner].
func (d *DB) Exec(ctx context.Context, sql string, args ...any) (n int64, err error) {
	sql = db.Spelling(db.Postgres, sql)
	err = d.again(ctx, false, func(l *lease) error {
		tag, err := l.Exec(l.ctx, sql, args...)
		if err == nil {
			l.release()
			n = tag.RowsAffected()
		}
		return err
	})
	return n, err
}

// Query implements [db.Runner]. The connection is taken until the rows are closed.
func (d *DB) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	r, err := d.query(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *DB) query(ctx context.Context, sql string, args []any) (out *rows, err error) {
	sql = db.Spelling(db.Postgres, sql)
	err = d.again(ctx, readsOnly(sql), func(l *lease) error {
		r, err := l.Query(l.ctx, sql, args...)
		if err != nil {
			return err
		}
		first := r.Next() // so that the statement has failed here, if it fails
		if !first && r.Err() != nil {
			return r.Err()
		}
		out = &rows{ctx: ctx, rows: r, lease: l, ahead: true, first: first}
		return nil
	})
	return out, err
}

// readsOnly reports that a statement certainly changes nothing.
func readsOnly(sql string) bool {
	sql = strings.TrimSpace(sql)
	return len(sql) > 6 && strings.EqualFold(sql[:6], "select")
}

// QueryRow implements [db.Runner].
func (d *DB) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	r, err := d.query(ctx, sql, args)
	return &row{rows: r, err: err}
}

// rows is an open result.
type rows struct {
	ctx   context.Context
	rows  pgx.Rows
	lease *lease
	ahead bool // the first Next was called already
	first bool // and this was its result
}

func (r *rows) Next() bool {
	if r.ahead {
		r.ahead = false
		if r.first {
			return true
		}
	} else if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *rows) Scan(dest ...any) error { return wrap(r.ctx, r.rows.Scan(dest...)) }

func (r *rows) Err() error { return r.lease.scope.note(wrap(r.ctx, r.rows.Err())) }

func (r *rows) Close() {
	r.rows.Close()
	r.lease.release()
}

// row is the first row of a result.
type row struct {
	rows *rows
	err  error
}

func (r *row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return db.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

// Ask implements [db.Runner]. A connection that broke before any row was told is replaced, as for one query.
func (d *DB) Ask(ctx context.Context, questions ...db.Question) error {
	if len(questions) == 0 {
		return nil
	}
	told := false
	var refused, torn error // by Each, which is no failure of the database; what failed after a row was told, which is not told twice
	err := d.again(ctx, true, func(l *lease) error {
		if torn != nil {
			return torn
		}
		batch := &pgx.Batch{}
		for _, q := range questions {
			batch.Queue(db.Spelling(db.Postgres, q.SQL), q.Args...)
		}
		results := l.SendBatch(l.ctx, batch)
		var err error
		for i := 0; i < len(questions) && err == nil && refused == nil; i++ {
			if refused, err = each(ctx, results, questions[i].Each, &told); err != nil {
				err = fmt.Errorf("question %d: %w", i+1, err)
			}
		}
		if closed := results.Close(); err == nil {
			err = closed
		}
		if err == nil {
			l.release()
		} else if told {
			torn = err
		}
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}

// each tells the rows of the next result.
func each(ctx context.Context, results pgx.BatchResults, tell func(db.Row) error, told *bool) (refused, err error) {
	r, err := results.Query()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for r.Next() {
		*told = true
		if refused = tell(scanner{ctx, r}); refused != nil {
			return refused, nil
		}
	}
	return nil, r.Err()
}

// scanner is the present row of a result.
type scanner struct {
	ctx context.Context
	pgx.Rows
}

func (s scanner) Scan(dest ...any) error { return wrap(s.ctx, s.Rows.Scan(dest...)) }

// Batch implements [db.Runner]: one round trip, in a transaction of its own when there is none.
func (d *DB) Batch(ctx context.Context, statements []db.Statement) (affected []int64, err error) {
	if len(statements) == 0 {
		return nil, nil
	}
	err = d.again(ctx, false, func(l *lease) error {
		batch := &pgx.Batch{}
		for i, s := range statements {
			sql, args, err := d.spell(l, s)
			if err != nil {
				return fmt.Errorf("statement %d of the batch: %w", i+1, err)
			}
			batch.Queue(sql, args...)
		}
		affected = affected[:0]
		results := l.SendBatch(l.ctx, batch)
		for i := range statements {
			tag, err := results.Exec()
			if err != nil {
				_ = results.Close()
				return fmt.Errorf("statement %d of the batch: %w", i+1, err)
			}
			affected = append(affected, tag.RowsAffected())
		}
		if err := results.Close(); err != nil {
			return err
		}
		l.release()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return affected, nil
}

// BulkInsert implements [db.Runner] with COPY.
func (d *DB) BulkInsert(ctx context.Context, table string, columns []string, rows [][]any) (n int64, err error) {
	if len(rows) == 0 || len(columns) == 0 {
		return 0, nil
	}
	err = d.again(ctx, false, func(l *lease) error {
		var err error
		if n, err = l.CopyFrom(l.ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows)); err == nil {
			l.release()
		}
		return err
	})
	return n, err
}
