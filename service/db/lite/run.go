package lite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/service/db"
)

// Exec implements [db.Runner]. Outside a transaction it runs on the writer, alone.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return d.exec(ctx, d.rewriter.rewrite(query), args)
}

func (d *DB) exec(ctx context.Context, st statement, args []any) (int64, error) {
	return d.execBy(ctx, st, nil, args)
}

// execBy is exec by a statement that was prepared in the transaction of ctx, if it is not nil.
func (d *DB) execBy(ctx context.Context, st statement, prepared *sql.Stmt, args []any) (int64, error) {
	vals, err := values(args)
	t := d.txFrom(ctx)
	if err != nil {
		return 0, d.note(t, err)
	}
	var res sql.Result
	if t != nil {
		if err := t.usable(); err != nil {
			return 0, err
		}
		if prepared != nil {
			res, err = prepared.ExecContext(ctx, vals...)
		} else {
			res, err = t.sql.ExecContext(ctx, st.sql, vals...)
		}
	} else {
		conn, release, taken := d.takeWriter(ctx)
		if taken != nil {
			return 0, taken
		}
		defer release()
		res, err = conn.ExecContext(ctx, st.sql, vals...)
	}
	if err != nil {
		return 0, d.note(t, wrap(ctx, err))
	}
	if !st.writes {
		return 0, nil
	}
	return res.RowsAffected()
}

// note marks the transaction, if any, as failed.
func (d *DB) note(t *tx, err error) error {
	if t != nil {
		return t.note(err)
	}
	return err
}

// Query implements [db.Runner]. Outside a transaction a statement that only reads runs on a reader; one that writes and
// returns rows holds the writer until the rows are closed.
func (d *DB) Query(ctx context.Context, query string, args ...any) (db.Rows, error) {
	r, err := d.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// QueryRow implements [db.Runner].
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) db.Row {
	r, err := d.query(ctx, query, args)
	return &row{rows: r, err: err}
}

func (d *DB) query(ctx context.Context, query string, args []any) (*rows, error) {
	st := d.rewriter.rewrite(query)
	t := d.txFrom(ctx)
	vals, err := values(args)
	if err != nil {
		return nil, d.note(t, err)
	}
	out := &rows{ctx: ctx, tx: t, release: func() {}}
	switch {
	case t != nil:
		if err := t.usable(); err != nil {
			return nil, err
		}
		out.rows, err = t.sql.QueryContext(ctx, st.sql, vals...)
	case st.writes:
		conn, release, taken := d.takeWriter(ctx)
		if taken != nil {
			return nil, taken
		}
		leave := d.guard.Enter()
		out.release = func() { leave(); release() }
		out.rows, err = conn.QueryContext(ctx, st.sql, vals...)
	default:
		if err := d.guard.Check(); err != nil {
			return nil, err
		}
		out.rows, err = d.prepared.query(ctx, d.readers, st.sql, vals)
	}
	if err != nil {
		out.release()
		return nil, d.note(t, wrap(ctx, err))
	}
	return out, nil
}

// rows is an open result.
type rows struct {
	ctx     context.Context
	tx      *tx
	rows    *sql.Rows
	release func()
	closed  bool
}

func (r *rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *rows) Scan(dest ...any) error {
	return wrap(r.ctx, r.rows.Scan(destinations(dest)...))
}

func (r *rows) Err() error {
	err := wrap(r.ctx, r.rows.Err())
	if r.tx != nil {
		return r.tx.note(err)
	}
	return err
}

func (r *rows) Close() {
	if !r.closed {
		r.closed = true
		_ = r.rows.Close()
		r.release()
	}
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
	for r.rows.Next() { //nolint:revive // a write that returns rows is only done when it has been stepped to its end
	}
	return r.rows.Err()
}

// Ask implements [db.Runner]: the queries in turn, each on a reader.
func (d *DB) Ask(ctx context.Context, questions ...db.Question) error {
	for i, q := range questions {
		if err := d.each(ctx, q); err != nil {
			return fmt.Errorf("question %d: %w", i+1, err)
		}
	}
	return nil
}

func (d *DB) each(ctx context.Context, q db.Question) error {
	r, err := d.query(ctx, q.SQL, q.Args)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := q.Each(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// Batch implements [db.Runner]: the statements in turn, in one transaction.
func (d *DB) Batch(ctx context.Context, statements []db.Statement) ([]int64, error) {
	affected := make([]int64, 0, len(statements))
	err := d.InTx(ctx, func(ctx context.Context) error {
		var same repeated
		defer same.end()
		for i, s := range statements {
			n, err := d.one(ctx, s, &same, i+1 < len(statements) && statements[i+1].Insert == nil && statements[i+1].SQL == s.SQL)
			if err != nil {
				return fmt.Errorf("statement %d of the batch: %w", i+1, err)
			}
			affected = append(affected, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return affected, nil
}

// repeated is a statement of a batch that comes several times in a row: to read it takes as long as to run it, so it is read once.
type repeated struct {
	text string
	stmt *sql.Stmt
}

func (r *repeated) end() {
	if r.stmt != nil {
		_ = r.stmt.Close()
	}
	*r = repeated{}
}

// one runs a statement of a batch, in its transaction; again says that the next one has the same text.
func (d *DB) one(ctx context.Context, s db.Statement, same *repeated, again bool) (int64, error) {
	if r := s.Insert; r != nil {
		return d.BulkInsert(ctx, r.Table, r.Columns, r.Rows)
	}
	if same.text != s.SQL {
		same.end()
	}
	st := d.rewriter.rewrite(s.SQL)
	if t := d.txFrom(ctx); again && same.stmt == nil && t.usable() == nil {
		stmt, err := t.sql.PrepareContext(ctx, st.sql)
		if err != nil {
			return 0, d.note(t, wrap(ctx, err))
		}
		*same = repeated{s.SQL, stmt}
	}
	return d.execBy(ctx, st, same.stmt, s.Args)
}

// maxParameters is below SQLite's limit of parameters in one statement.
const maxParameters = 30000

// BulkInsert implements [db.Runner].
func (d *DB) BulkInsert(ctx context.Context, table string, columns []string, rows [][]any) (int64, error) {
	if len(rows) == 0 || len(columns) == 0 {
		return 0, nil
	}
	head := "INSERT INTO " + quote(table) + " ("
	for i, c := range columns {
		if i > 0 {
			head += ", "
		}
		head += quote(c)
	}
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",") + ")"
	step := min(500, max(1, maxParameters/len(columns)))
	err := d.InTx(ctx, func(ctx context.Context) error {
		for from := 0; from < len(rows); from += step {
			chunk := rows[from:min(from+step, len(rows))]
			args := make([]any, 0, len(chunk)*len(columns))
			for i, r := range chunk {
				if len(r) != len(columns) {
					return fmt.Errorf("row %d has %d values for %d columns", from+i+1, len(r), len(columns))
				}
				args = append(args, r...)
			}
			sql := head + ") VALUES " + strings.TrimSuffix(strings.Repeat(tuple+",", len(chunk)), ",")
			if _, err := d.exec(ctx, statement{sql: sql, writes: true}, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return int64(len(rows)), nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
