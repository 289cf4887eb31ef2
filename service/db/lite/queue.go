package lite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/jobs"
)

// MigrateQueue brings the job queue's tables up, or removes them. Calls wait for one another.
func (d *DB) MigrateQueue(ctx context.Context, down bool) error {
	d.migrating.Lock()
	defer d.migrating.Unlock()
	migrator, err := rivermigrate.New(riversqlite.New(d.writer), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
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

// queue is a client of the job table. It shares the writing connection.
type queue struct {
	*river.Client[*sql.Tx]
	db *DB
}

var _ jobs.Driver = (*DB)(nil)

// PollOnly implements [jobs.Driver]: SQLite notifies nobody.
func (d *DB) PollOnly() bool { return true }

// NewQueue implements [jobs.Driver].
func (d *DB) NewQueue(config *river.Config) (jobs.Client, error) {
	if d.writer == nil {
		return nil, fmt.Errorf("%w: opened read-only", db.ErrUnavailable)
	}
	client, err := river.NewClient(&looking{riversqlite.New(d.writer), d}, config)
	if err != nil {
		return nil, err
	}
	return &queue{client, d}, nil
}

// looking finds out whether there is work before it takes the writer to fetch some. Workers ask ten times a second, and the statement that fetches is
// read and planned anew each time: without this, a service that has nothing to do keeps a twelfth of a processor busy.
type looking struct {
	*riversqlite.Driver
	db *DB
}

// GetExecutor implements [riverdriver.Driver].
func (d *looking) GetExecutor() riverdriver.Executor { return executor{d.Driver.GetExecutor(), d.db} }

type executor struct {
	riverdriver.Executor
	db *DB
}

// JobGetAvailable implements [riverdriver.Executor].
func (e executor) JobGetAvailable(ctx context.Context, p *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	var some bool
	err := e.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'available' AND queue = $1)`, p.Queue).Scan(&some)
	if err != nil || !some {
		return &riverdriver.JobGetAvailableResult{}, err
	}
	return e.Executor.JobGetAvailable(ctx, p)
}

// Start implements [jobs.Client]. The first start since the database was opened puts back the jobs that were running when the
// process before died: it is dead, since this one holds the directory's lock.
func (q *queue) Start(ctx context.Context) error {
	if err := q.db.reclaim(ctx); err != nil {
		return err
	}
	return q.Client.Start(ctx)
}

func (d *DB) reclaim(ctx context.Context) error {
	d.migrating.Lock()
	defer d.migrating.Unlock()
	if d.reclaimed {
		return nil
	}
	_, err := d.Exec(ctx, `UPDATE river_job SET state = 'available', max_attempts = max(max_attempts, attempt + 1) WHERE state = 'running'`)
	d.reclaimed = err == nil
	return err
}

// Insert implements [jobs.Client].
func (q *queue) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (duplicate bool, err error) {
	t := q.db.txFrom(ctx)
	var result *rivertype.JobInsertResult
	if t != nil {
		if err := t.usable(); err != nil {
			return false, err
		}
		result, err = q.InsertTx(ctx, t.sql, args, opts)
	} else {
		if err := q.db.guard.Check(); err != nil {
			return false, err
		}
		result, err = q.Client.Insert(ctx, args, opts)
	}
	if err != nil {
		return false, q.db.note(t, wrap(ctx, err))
	}
	return result.UniqueSkippedAsDuplicate, nil
}

// List implements [jobs.Client].
func (q *queue) List(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error) {
	return inQueue(ctx, q, func(tx *sql.Tx) (*river.JobListResult, error) { return q.JobListTx(ctx, tx, params) },
		func() (*river.JobListResult, error) { return q.JobList(ctx, params) })
}

// Get implements [jobs.Client].
func (q *queue) Get(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx *sql.Tx) (*rivertype.JobRow, error) { return q.JobGetTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobGet(ctx, id) })
}

// Retry implements [jobs.Client].
func (q *queue) Retry(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx *sql.Tx) (*rivertype.JobRow, error) { return q.JobRetryTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobRetry(ctx, id) })
}

// Cancel implements [jobs.Client].
func (q *queue) Cancel(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	return inQueue(ctx, q, func(tx *sql.Tx) (*rivertype.JobRow, error) { return q.JobCancelTx(ctx, tx, id) },
		func() (*rivertype.JobRow, error) { return q.JobCancel(ctx, id) })
}

// inQueue calls within in the transaction that ctx carries, or alone when there is none.
func inQueue[T any](ctx context.Context, q *queue, within func(*sql.Tx) (T, error), alone func() (T, error)) (out T, err error) {
	t := q.db.txFrom(ctx)
	if t != nil {
		if err = t.usable(); err == nil {
			out, err = within(t.sql)
		}
	} else if err = q.db.guard.Check(); err == nil {
		out, err = alone()
	}
	if errors.Is(err, rivertype.ErrNotFound) { // a statement that finds nothing has not failed
		return out, err
	}
	return out, q.db.note(t, wrap(ctx, err))
}
