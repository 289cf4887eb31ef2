// Package db is the SQL seam. SQL is written once, in PostgreSQL's spelling and in the portable subset that both engines
// understand; the adapters db/pg (pgx, native pool) and db/lite (modernc SQLite) run it. One conformance suite, db/dbtest,
// holds for both.
//
// What statements may rely on, whichever engine runs them:
//
//   - Parameters are $1, $2, … ; times are UTC with microseconds; booleans are Go bools; JSON goes in and comes out as text.
//   - FOR UPDATE and FOR NO KEY UPDATE are honoured by PostgreSQL and dropped for SQLite, whose write transactions are exclusive from their start.
//   - COLLATE "C" is honoured by PostgreSQL and dropped for SQLite, whose text compares by bytes anyway.
//   - A statement that must differ has its second spelling directly beneath the first, after a line "-- sqlite:".
//   - The transaction travels in the context: inside [DB.InTx] use the context handed to fn.
package db

import (
	"context"
	"errors"
)

// Engine names the database behind a [DB].
type Engine string

// The two engines.
const (
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// Kinds of failure that callers may act on; adapters wrap the engine's error together with one of them.
var (
	ErrNoRows      = errors.New("db: no rows")
	ErrUnique      = errors.New("db: unique violation")
	ErrForeignKey  = errors.New("db: foreign key violation")
	ErrCheck       = errors.New("db: check violation")
	ErrNotNull     = errors.New("db: not null violation")
	ErrImmutable   = errors.New("db: row may not be changed") // raised by the append-only triggers
	ErrUnavailable = errors.New("db: database unavailable")   // lost connection, pool exhausted, shutting down, read-only, disk full
	ErrText        = errors.New("db: text is not valid UTF-8 or holds a NUL")
	// ErrOuterContext is a mistake in the caller: a statement inside InTx ran with a context other than the one handed to fn.
	ErrOuterContext = errors.New("db: statement inside InTx does not use the transaction's context")
	// ErrTxOver is a mistake in the caller: the context of a transaction was used after InTx returned.
	ErrTxOver = errors.New("db: the transaction of this context is over")
	// ErrTxFailed answers every statement after the first that failed in a transaction, on both engines; only the end of the
	// transaction, or of the nested InTx in which it happened, clears it.
	ErrTxFailed = errors.New("db: an earlier statement of this transaction failed")
)

// Row is one row to be scanned. Scan returns [ErrNoRows] when there was none.
type Row interface {
	Scan(dest ...any) error
}

// Rows is an open result. It must be closed; Err tells why Next stopped.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Statement is one statement of a [DB.Batch]: SQL with its arguments, or rows to insert, which [Insert] makes.
type Statement struct {
	SQL    string
	Args   []any
	Insert *Rowset // nil for SQL
}

// Rowset is rows of a table, each with a value for every column.
type Rowset struct {
	Table   string
	Columns []string
	Rows    [][]any
}

// Insert is the statement that inserts rows, any number of them, which are values that [Runner.BulkInsert] takes too.
func Insert(table string, columns []string, rows [][]any) Statement {
	return Statement{SQL: "INSERT INTO " + table, Insert: &Rowset{table, columns, rows}}
}

// Question is one query of [Runner.Ask]. Each is called with every row, in order; [Into] makes one.
type Question struct {
	SQL  string
	Args []any
	Each func(Row) error
}

// Into is the Each of a [Question] that appends every row to out.
func Into[T any](out *[]T, scan func(Row) (T, error)) func(Row) error {
	return func(r Row) error {
		v, err := scan(r)
		if err == nil {
			*out = append(*out, v)
		}
		return err
	}
}

// Runner runs statements. Exec and Batch report the rows affected.
type Runner interface {
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) Row
	// Ask runs queries that only read, in order, in one round trip on PostgreSQL; it stops at the first that fails. Like queries that
	// are run one by one, each sees what was committed when it ran. Each may not use the database.
	Ask(ctx context.Context, questions ...Question) error
	// Batch runs the statements in order, in one round trip on PostgreSQL, all or none. It returns the rows affected by each.
	Batch(ctx context.Context, statements []Statement) ([]int64, error)
	// BulkInsert inserts rows with COPY on PostgreSQL and multi-row VALUES on SQLite; all or none.
	BulkInsert(ctx context.Context, table string, columns []string, rows [][]any) (int64, error)
}

// DB is one database. It is safe for concurrent use.
type DB interface {
	Runner
	// InTx runs fn in a read-write transaction: committed when fn returns nil, rolled back otherwise, and when ctx is
	// cancelled. A nested call runs in a savepoint of the same transaction: its failure undoes its own statements
	// only. Serialization failures and deadlocks are retried a few times, so fn must have no effect outside the database.
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	// Engine tells which engine this is. Only migrations, backups and diagnostics need to know.
	Engine() Engine
	// Ping reports whether the database answers and takes writes.
	Ping(ctx context.Context) error
	// Close waits for running statements and closes every connection.
	Close() error
}

// Collect scans every row of a query with scan and closes it. It passes on err, so that it can wrap a call of Query.
func Collect[T any](rows Rows, err error, scan func(Row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
