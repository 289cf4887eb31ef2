package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/mintreu/mintreu/licensing"
)

// envelope is how a job of any kind lies in the table.
type envelope struct {
	kind string
	Key  string          `json:"key,omitempty" river:"unique"`
	Args json.RawMessage `json:"args"`
}

// Kind implements [river.JobArgs].
func (e envelope) Kind() string { return e.kind }

// kind is a registered kind of job.
type kind struct {
	name    string
	handler Handler
	options Options
}

// backoff doubles from one second up to an hour, give or take a fifth.
func backoff(attempt int) time.Duration {
	d := time.Hour
	if attempt < 13 {
		d = min(d, time.Second<<max(attempt-1, 0))
	}
	return d - d/5 + rand.N(2*d/5)
}

// worker runs the jobs of one kind.
type worker struct {
	river.WorkerDefaults[envelope]
	kind   kind
	runner *Runner
}

// Timeout implements [river.Worker].
func (w *worker) Timeout(*river.Job[envelope]) time.Duration { return w.kind.options.Timeout }

// NextRetry implements [river.Worker].
func (w *worker) NextRetry(j *river.Job[envelope]) time.Time {
	return w.runner.now().Add(w.kind.options.Backoff(len(j.Errors) + 1))
}

// Work implements [river.Worker].
func (w *worker) Work(ctx context.Context, j *river.Job[envelope]) (err error) {
	began := time.Now()
	defer func() {
		if w.runner.config.OnDone != nil {
			w.runner.config.OnDone(w.kind.name, time.Since(began), err)
		}
	}()
	return w.kind.handler(licensing.AsSystem(ctx, w.kind.name), j.Args.Args)
}

// now is the injected clock's instant, or the system's.
func (r *Runner) now() time.Time {
	if r.config.Clock != nil {
		return r.config.Clock()
	}
	return time.Now()
}

// clock shows River the injected clock.
type clock licensing.Clock

// Now implements [rivertype.TimeGenerator].
func (c clock) Now() time.Time { return c() }

// NowOrNil implements [rivertype.TimeGenerator].
func (c clock) NowOrNil() *time.Time { now := c().UTC(); return &now }

// settings are what every client of this runner has in common.
func (r *Runner) settings() *river.Config {
	c := &river.Config{
		Logger:      slog.New(quiet{r.config.Logger.Handler()}),
		MaxAttempts: river.MaxAttemptsDefault,
		// A client that inserts tells workers of new jobs at most once in this time and drops the rest, which then wait for
		// the next poll; workers have their own, longer pause between fetches.
		FetchCooldown: time.Millisecond,
	}
	if r.config.Clock != nil {
		c.Test.Time = clock(r.config.Clock)
	}
	return c
}

// Every runs fn once in each interval, counted from the epoch in UTC, in one process of all those that share the database.
// A slot that passed while nothing ran is not made up for; the current one is. fn must be idempotent all the same. A failed
// run is tried again within its slot.
func (r *Runner) Every(name string, interval time.Duration, fn func(ctx context.Context) error) error {
	if interval < time.Second {
		return fmt.Errorf("jobs: %s: the interval %v is shorter than a second", name, interval)
	}
	attempts := int(min(max(interval/time.Minute, 1), 5))
	run := func(ctx context.Context, _ json.RawMessage) error { return fn(ctx) }
	if err := r.Handle(name, run, Options{Timeout: min(max(interval, time.Minute), time.Hour), MaxAttempts: attempts}); err != nil {
		return err
	}
	construct := func() (river.JobArgs, *river.InsertOpts) {
		slot := r.now().UTC().Truncate(interval).Format(time.RFC3339)
		opts := r.insertOptions(name)
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()}
		return envelope{kind: name, Key: slot, Args: json.RawMessage("null")}, opts
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.periodic = append(r.periodic, river.NewPeriodicJob(slots(interval), construct, &river.PeriodicJobOpts{ID: name, RunOnStart: true}))
	r.longest = max(r.longest, interval)
	return nil
}

// slots is the schedule of whole intervals since the epoch.
type slots time.Duration

// Next implements [river.PeriodicSchedule].
func (s slots) Next(after time.Time) time.Time {
	interval := time.Duration(s)
	return after.UTC().Truncate(interval).Add(interval)
}

// Start begins to run jobs. They run until Stop, whatever becomes of ctx. Jobs that waited may run, and enqueue others, before
// it returns.
func (r *Runner) Start(ctx context.Context) error {
	client, err := r.claim()
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.worker = nil
		return fmt.Errorf("jobs: start: %w", err)
	}
	return nil
}

// claim makes the client that runs jobs, once. It is started without r.mu: a job that waited begins while other queues still start, and
// enqueues within a transaction that holds the one writer which those need.
func (r *Runner) claim() (Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.worker != nil {
		return nil, ErrStarted
	}
	if len(r.kinds) == 0 {
		return nil, errors.New("jobs: nothing to run: no kind has a handler")
	}
	client, err := r.config.Driver.NewQueue(r.working())
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.worker = client
	return client, nil
}

// working is the configuration of a client that runs jobs. r.mu is held.
func (r *Runner) working() *river.Config {
	c := r.settings()
	c.Workers = river.NewWorkers()
	c.Queues = map[string]river.QueueConfig{}
	for _, k := range r.kinds {
		river.AddWorkerArgs[envelope](c.Workers, envelope{kind: k.name}, &worker{kind: k, runner: r})
		c.Queues[k.options.Queue] = river.QueueConfig{MaxWorkers: max(r.config.Workers, k.options.Workers, c.Queues[k.options.Queue].MaxWorkers)}
	}
	c.PeriodicJobs = r.periodic
	c.ErrorHandler = &failures{r.config.Logger}
	r.keep(c)
	c.FetchCooldown = 50 * time.Millisecond
	c.FetchPollInterval = time.Second
	if r.config.Driver.PollOnly() {
		c.PollOnly, c.FetchCooldown, c.FetchPollInterval = true, 100*time.Millisecond, 100*time.Millisecond
	}
	return c
}

// keep says how long finished jobs are kept and when a running one is taken for dead.
func (r *Runner) keep(c *river.Config) {
	if r.config.Clock != nil { // these two go by the system's clock, under which the test's jobs may be years old
		const never = 100 * 365 * 24 * time.Hour
		c.CompletedJobRetentionPeriod, c.CancelledJobRetentionPeriod, c.DiscardedJobRetentionPeriod = never, never, never
		c.RescueStuckJobsAfter = never
		return
	}
	// A slot's row must outlive the slot, or the slot would run twice.
	c.CompletedJobRetentionPeriod = max(time.Hour, r.longest+r.longest/2)
	c.CancelledJobRetentionPeriod = max(24*time.Hour, c.CompletedJobRetentionPeriod)
	c.DiscardedJobRetentionPeriod = max(7*24*time.Hour, c.CompletedJobRetentionPeriod)
	// Jobs of a process that died go to another one after this time, or after their kind's timeout when that is longer.
	c.RescueStuckJobsAfter = 90 * time.Second
}

// Stop ends the work: no job is begun any more, and those that run are waited for. When ctx ends first they are cancelled
// through their contexts and put back, and Stop returns after that. A runner that is not started is left alone.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	client := r.worker
	r.worker = nil
	r.mu.Unlock()
	if client == nil {
		return nil
	}
	err := client.Stop(ctx)
	if err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("jobs: stop: %w", err)
	}
	return nil
}

// failures logs what went wrong in jobs.
type failures struct{ log *slog.Logger }

// HandleError implements [river.ErrorHandler].
func (f *failures) HandleError(ctx context.Context, j *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	level, text := slog.LevelWarn, "job failed and will be tried again"
	if j.Attempt >= j.MaxAttempts {
		level, text = slog.LevelError, "job failed for the last time and was discarded"
	}
	f.log.Log(ctx, level, text, "job", j.Kind, "id", j.ID, "attempt", j.Attempt, "error", err)
	return nil
}

// HandlePanic implements [river.ErrorHandler].
func (f *failures) HandlePanic(ctx context.Context, j *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "job panicked", "job", j.Kind, "id", j.ID, "attempt", j.Attempt, "panic", fmt.Sprint(panicked), "trace", trace)
	return nil
}

// quiet lets only warnings and errors of the library through.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// WithAttrs implements [slog.Handler].
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }

// WithGroup implements [slog.Handler].
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
