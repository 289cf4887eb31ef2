package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// queueLock is the advisory lock that lets one process at a time change the job queue's tables.
const queueLock = 0x6d696e74726575 // "mintreu"

// MigrateQueue brings the job queue's tables up, or removes them. Any number of processes may call it at once.
func (d *DB) MigrateQueue(ctx context.Context, down bool) (err error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(queueLock)); err != nil {
		return wrap(ctx, err)
	}
	defer func() {
		_, unlock := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(queueLock))
		err = errors.Join(err, wrap(ctx, unlock))
	}()
	migrator, err := rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("job queue: %w", err)
	}
	direction, options := rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{}
	if down {
		direction, options = rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1}
	}
	if _, err := migrator.Migrate(ctx, direction, options); err != nil {
		return fmt.Errorf("job queue: %w", wrap(ctx, err))
	}
	return nil
}
