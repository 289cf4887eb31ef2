package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/mintreu/mintreu/service/db"
)

// wrap puts the kind of failure beside PostgreSQL's own error.
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
	if ctx.Err() != nil && (pgconn.Timeout(err) || errors.Is(err, ctx.Err())) {
		return context.Cause(ctx)
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return kindOfCode(e)
	}
	var network net.Error
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return db.ErrNoRows
	case errors.Is(err, pgx.ErrTxClosed):
		return db.ErrTxOver
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, puddle.ErrClosedPool), errors.Is(err, context.DeadlineExceeded):
		return db.ErrUnavailable
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || strings.Contains(err.Error(), "conn closed") {
		return db.ErrUnavailable
	}
	return nil
}

func kindOfCode(e *pgconn.PgError) error {
	if strings.HasPrefix(e.Message, "immutable") {
		return db.ErrImmutable
	}
	switch e.Code {
	case "23505":
		return db.ErrUnique
	case "23503":
		return db.ErrForeignKey
	case "23514":
		return db.ErrCheck
	case "23502":
		return db.ErrNotNull
	case "22021", "22P05": // not valid in the encoding; a NUL inside JSON
		return db.ErrText
	case "25P02":
		return db.ErrTxFailed
	case "25006", "55P03", "57014", "57P05": // read-only, lock not available, statement timeout, idle session ended
		return db.ErrUnavailable
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58": // connection, resources (disk full, too many connections), shutdown, system
		return db.ErrUnavailable
	}
	return nil
}

// lostRace reports a serialization failure or a deadlock, after which the whole transaction may be run again.
func lostRace(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
