package lite

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
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
	client, err := river.NewClient(riversqlite.New(d.writer), config)
	if err != nil {
		return nil, err
	}
	return &queue{client, d}, nil
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
