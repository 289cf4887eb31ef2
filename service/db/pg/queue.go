package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/mintreu/mintreu/service/jobs"
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

// queue is a client of the job table.
type queue struct {
	*river.Client[pgx.Tx]
	db *DB
}

var _ jobs.Driver = (*DB)(nil)

// PollOnly implements [jobs.Driver]: the server notifies workers.
func (d *DB) PollOnly() bool { return false }

// NewQueue implements [jobs.Driver].
func (d *DB) NewQueue(config *river.Config) (jobs.Client, error) {
	client, err := river.NewClient(riverpgxv5.New(d.pool), config)
	if err != nil {
		return nil, err
	}
	return &queue{client, d}, nil
}

// Insert implements [jobs.Client].
func (q *queue) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (duplicate bool, err error) {
	s := q.db.scopeFrom(ctx)
	var result *rivertype.JobInsertResult
	if s != nil {
		if err := s.usable(); err != nil {
			return false, err
		}
		result, err = q.InsertTx(ctx, s.tx, args, opts)
	} else {
		if err := q.db.guard.Check(); err != nil {
			return false, err
		}
		result, err = q.Client.Insert(ctx, args, opts)
	}
	if err != nil {
		return false, s.note(wrap(ctx, err))
	}
	return result.UniqueSkippedAsDuplicate, nil
}

// List implements [jobs.Client].
func (q *queue) List(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error) {
	return inQueue(ctx, q, func(tx pgx.Tx) (*river.JobListResult, error) { return q.JobListTx(ctx, tx, params) },
		func() (*river.JobListResult, error) { return q.JobList(ctx, params) })
}

// Get implements [jobs.Client].
func (q *queue) Get(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx pgx.Tx) (*rivertype.JobRow, error) { return q.JobGetTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobGet(ctx, id) })
}

// Retry implements [jobs.Client].
func (q *queue) Retry(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx pgx.Tx) (*rivertype.JobRow, error) { return q.JobRetryTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobRetry(ctx, id) })
}

// Cancel implements [jobs.Client].
func (q *queue) Cancel(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx pgx.Tx) (*rivertype.JobRow, error) { return q.JobCancelTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobCancel(ctx, id) })
}

// inQueue calls within in the transaction that ctx carries, or alone when there is none.
func inQueue[T any](ctx context.Context, q *queue, within func(pgx.Tx) (T, error), alone func() (T, error)) (out T, err error) {
	s := q.db.scopeFrom(ctx)
	if s != nil {
		if err = s.usable(); err == nil {
			out, err = within(s.tx)
		}
	} else if err = q.db.guard.Check(); err == nil {
		out, err = alone()
	}
	if errors.Is(err, rivertype.ErrNotFound) { // a statement that finds nothing has not failed
		return out, err
	}
	return out, s.note(wrap(ctx, err))
}
