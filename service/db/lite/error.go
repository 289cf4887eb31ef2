package lite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mintreu/mintreu/service/db"
)

// wrap puts the kind of failure beside SQLite's own error.
func wrap(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if kind := kindOf(ctx, err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return db.ErrNoRows
	case errors.Is(err, sql.ErrTxDone):
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return db.ErrTxOver
	case errors.Is(err, sql.ErrConnDone), strings.HasSuffix(err.Error(), "sql: database is closed"),
		strings.HasSuffix(err.Error(), "sql: statement is closed"):
		return db.ErrUnavailable
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return db.ErrUnique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return db.ErrForeignKey
	case sqlite3.SQLITE_CONSTRAINT_CHECK:
		return db.ErrCheck
	case sqlite3.SQLITE_CONSTRAINT_NOTNULL:
		return db.ErrNotNull
	case sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		if strings.Contains(e.Error(), "immutable") {
			return db.ErrImmutable
		}
		return db.ErrCheck
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_INTERRUPT:
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM:
		return db.ErrUnavailable
	}
	return nil
}
