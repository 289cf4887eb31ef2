// Package jobs is the outbox and its workers. A job enqueued inside a transaction exists exactly when the transaction
// commits, and then runs at least once: handlers must be idempotent. The table behind it is River's, on both engines.
//
//	queue, err := jobs.New(jobs.Config{Driver: database, Logger: log})
//	queue.Handle("mail.send", mailer.Send, jobs.Options{Timeout: 30 * time.Second})
//	queue.Every("session.sweep", time.Hour, sessions.Sweep)
//	err = queue.Start(ctx)
//	…
//	err = queue.Stop(ctx)
//
// A database row is the state of any piece of work; its job is only a nudge to look at the row. A job's arguments hold ids
// and never secrets.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/failpoint"
)

// Driver is what db/pg and db/lite offer for the job table in their database.
type Driver interface {
	// NewQueue makes a client of the table. A configuration without workers makes one that only inserts.
	NewQueue(config *river.Config) (Client, error)
	// PollOnly reports that the engine cannot tell a worker of new jobs, so that it has to look often.
	PollOnly() bool
}

// Client is one client of the job table.
type Client interface {
	// Insert adds a job in the transaction that ctx carries, or alone. It reports whether the job was there already.
	Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (duplicate bool, err error)
	// List, Get, Retry and Cancel look at the table and move jobs in it, in the transaction that ctx carries, or alone. A job that is not
	// there is [rivertype.ErrNotFound].
	List(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	Get(ctx context.Context, id int64) (*rivertype.JobRow, error)
	Retry(ctx context.Context, id int64) (*rivertype.JobRow, error)
	Cancel(ctx context.Context, id int64) (*rivertype.JobRow, error)
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// Handler does one job. args are the job's arguments as they were enqueued. The context carries a system actor named after
// the job's kind, and ends at the job's timeout and when the program must stop at once. An error puts the job back with a
// growing pause; [Snooze] puts it back without counting as a failure; [Cancel] gives it up.
type Handler func(ctx context.Context, args json.RawMessage) error

// Options say how jobs of a kind are run. The zero Options are good for short work.
type Options struct {
	// Timeout bounds one run; 0 means one minute.
	Timeout time.Duration
	// MaxAttempts is how often a job is tried before it is discarded, which is logged as an error; 0 means 25.
	MaxAttempts int
	// Queue is the queue's name; "" is the default queue. Kinds that may wait long get a queue of their own.
	Queue string
	// Workers is how many jobs of its queue run at once, for kinds that mostly wait for others; 0 means what the Runner says, and of several
	// kinds in one queue the highest counts.
	Workers int
	// Backoff is the pause after the given failed attempt (1, 2, …). Nil doubles from one second up to an hour, with jitter.
	Backoff func(attempt int) time.Duration
}

// Config is what a Runner depends on. Only Driver is required.
type Config struct {
	Driver Driver
	// Logger is told of failed jobs. Nil discards.
	Logger *slog.Logger
	// Clock is for tests that own time: jobs become due and retries are counted by it. Leave it nil in a program, which
	// then uses the system's clock and, for instants that several machines compare, the database's.
	Clock licensing.Clock
	// Workers is how many jobs of one queue run at once; 0 means 8.
	Workers int
	// OnDone, when set, is called after each run with the job's kind and its result; nil is success. For metrics and tests.
	OnDone func(kind string, took time.Duration, err error)
}

// Runner is the outbox and the workers of one process. Enqueue may be called from any goroutine at any time; Handle and
// Every only before Start.
type Runner struct {
	config Config
	outbox Client

	mu       sync.Mutex
	kinds    map[string]kind
	periodic []*river.PeriodicJob
	longest  time.Duration // the longest interval of the periodic jobs
	worker   Client        // nil when not started
}

var _ licensing.Enqueuer = (*Runner)(nil)

// ErrStarted is returned by Handle and Every when the runner already runs.
var ErrStarted = errors.New("jobs: the runner has been started")

// New makes a runner over a migrated database.
func New(c Config) (*Runner, error) {
	if c.Driver == nil {
		return nil, errors.New("jobs: no driver given")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Workers <= 0 {
		c.Workers = 8
	}
	r := &Runner{config: c, kinds: map[string]kind{}}
	outbox, err := c.Driver.NewQueue(r.settings())
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.outbox = outbox
	return r, nil
}

// activeStates are the states of a job that has not finished.
var activeStates = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// Enqueue implements [licensing.Enqueuer].
func (r *Runner) Enqueue(ctx context.Context, j licensing.Job) error {
	if j.Kind == "" {
		return errors.New("jobs: a job needs a kind")
	}
	args, err := json.Marshal(j.Args)
	if err != nil {
		return fmt.Errorf("jobs: arguments of %s: %w", j.Kind, err)
	}
	opts := r.insertOptions(j.Kind)
	opts.ScheduledAt = j.At
	if j.Unique != "" {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: activeStates}
	}
	if _, err := r.outbox.Insert(ctx, envelope{kind: j.Kind, Key: j.Unique, Args: args}, opts); err != nil {
		return fmt.Errorf("jobs: enqueue %s: %w", j.Kind, err)
	}
	failpoint.Hit("outbox-row")
	return nil
}

// insertOptions are the options of a kind that its handler, if this process has it, was registered with.
func (r *Runner) insertOptions(name string) *river.InsertOpts {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.kinds[name].options
	return &river.InsertOpts{MaxAttempts: o.MaxAttempts, Queue: o.Queue}
}

// Handle registers the handler of a kind.
func (r *Runner) Handle(name string, h Handler, o Options) error {
	if name == "" || h == nil {
		return errors.New("jobs: a handler needs a kind and a function")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.worker != nil {
		return ErrStarted
	}
	if _, twice := r.kinds[name]; twice {
		return fmt.Errorf("jobs: kind %q has two handlers", name)
	}
	r.kinds[name] = kind{name: name, handler: h, options: withDefaults(o)}
	return nil
}

func withDefaults(o Options) Options {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = river.MaxAttemptsDefault
	}
	if o.Queue == "" {
		o.Queue = river.QueueDefault
	}
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	return o
}

// Snooze is returned by a handler to run its job again after d, without that counting as a failure.
func Snooze(d time.Duration) error { return river.JobSnooze(max(d, 0)) }

// Cancel is returned by a handler to give its job up for good because of err.
func Cancel(err error) error { return river.JobCancel(err) }
