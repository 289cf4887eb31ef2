package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/jobs"
)

// Two runners share the work and run no job twice.
func TestTwoRunnersRunNoJobTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		const work = 100
		ran := make(chan string, 2*work)
		var first *jobs.Runner
		for range 2 {
			r := newRunner(t, jobs.Config{Driver: d})
			handle(t, r, "note", handler(ran), jobs.Options{})
			start(t, r)
			first = r
		}
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			for i := range work {
				enqueue(t, ctx, first, licensing.Job{Kind: "note", Args: note{fmt.Sprint(i)}})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for range work {
			seen[receive(t, ran)]++
		}
		if len(seen) != work || len(ran) != 0 {
			t.Errorf("%d different jobs ran and %d more, want %d and none", len(seen), len(ran), work)
		}
	})
}

// Stop waits for the running job, which keeps its context, and begins no other.
func TestStopFinishesTheRunningJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		begun, finish := make(chan struct{}, 2), make(chan struct{})
		var finished atomic.Bool
		r := newRunner(t, jobs.Config{Driver: d, Workers: 1})
		handle(t, r, "slow", func(ctx context.Context, _ json.RawMessage) error {
			begun <- struct{}{}
			<-finish
			finished.Store(ctx.Err() == nil)
			return nil
		}, jobs.Options{})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "slow"})
		enqueue(t, t.Context(), r, licensing.Job{Kind: "slow"})
		receive(t, begun)
		stopped := make(chan error, 1)
		go func() { stopped <- r.Stop(t.Context()) }()
		select {
		case <-stopped:
			t.Error("Stop did not wait")
		case <-time.After(100 * time.Millisecond):
		}
		close(finish)
		if err := receive(t, stopped); err != nil {
			t.Error(err)
		}
		if !finished.Load() || len(begun) != 0 {
			t.Errorf("finished %v, %d more begun", finished.Load(), len(begun))
		}
		var done, left int
		if err := d.QueryRow(t.Context(), `SELECT count(CASE WHEN state = 'completed' THEN 1 END), count(CASE WHEN state = 'available' THEN 1 END) FROM river_job`).
			Scan(&done, &left); err != nil || done != 1 || left != 1 {
			t.Errorf("%d done and %d left, %v", done, left, err)
		}
	})
}

// When the time for a graceful stop is over, the running job is cancelled and kept for later.
func TestStopCancelsWhenOutOfTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		begun := make(chan struct{}, 1)
		r := newRunner(t, jobs.Config{Driver: d})
		handle(t, r, "endless", func(ctx context.Context, _ json.RawMessage) error {
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}, jobs.Options{Timeout: time.Hour})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "endless"})
		receive(t, begun)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
		var state string
		if err := d.QueryRow(t.Context(), `SELECT CAST(state AS text) FROM river_job`).Scan(&state); err != nil || (state != "retryable" && state != "available") {
			t.Errorf("the job is %s, %v", state, err)
		}
	})
}

// With a clock of the test's own a job waits until the clock has reached its instant.
func TestJobWaitsForItsInstant(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		var mu sync.Mutex
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		r := newRunner(t, jobs.Config{Driver: d, Clock: clock})
		ran := make(chan string, 2)
		handle(t, r, "note", handler(ran), jobs.Options{})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Args: note{"later"}, At: now.Add(24 * time.Hour)})
		enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Args: note{"now"}})
		if id := receive(t, ran); id != "now" {
			t.Errorf("ran %q", id)
		}
		mu.Lock()
		now = now.Add(25 * time.Hour)
		mu.Unlock()
		if id := receive(t, ran); id != "later" {
			t.Errorf("ran %q", id)
		}
	})
}

// A periodic function runs once in its slot, however many runners there are and however often they start.
func TestPeriodicRunsOnceInItsSlot(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		var runs atomic.Int64
		ran := make(chan string, 10)
		for i := range 3 {
			r := newRunner(t, jobs.Config{Driver: d})
			if err := r.Every("sweep", 100*24*time.Hour, func(context.Context) error {
				runs.Add(1)
				ran <- "sweep"
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			handle(t, r, "note", handler(ran), jobs.Options{})
			start(t, r)
			if i == 0 {
				receive(t, ran)
			}
			enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Args: note{"mark"}})
			if got := receive(t, ran); got != "mark" {
				t.Errorf("ran %q", got)
			}
			if err := r.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var rows int
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'sweep'`).Scan(&rows); err != nil || rows != 1 || runs.Load() != 1 {
			t.Errorf("%d rows and %d runs, %v; want one", rows, runs.Load(), err)
		}
	})
}

// On SQLite a job that was running when its process died runs again as soon as the next process starts, even on its last
// attempt; a second runner of a living process takes nothing from the first.
func TestJobOfADeadProcessRunsAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	d, err := lite.Open(t.Context(), lite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.MigrateQueue(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, jobs.Config{Driver: d})
	handle(t, r, "note", func(context.Context, json.RawMessage) error { return nil }, jobs.Options{MaxAttempts: 1})
	enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Unique: "a", Args: note{"left"}})
	if _, err := d.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = CURRENT_TIMESTAMP`); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = lite.Open(t.Context(), lite.Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	ran, finish := make(chan string, 10), make(chan struct{})
	var runners [2]*jobs.Runner
	for i := range runners {
		runners[i] = newRunner(t, jobs.Config{Driver: d})
		handle(t, runners[i], "note", func(ctx context.Context, args json.RawMessage) error {
			defer func() { <-finish }()
			return handler(ran)(ctx, args)
		}, jobs.Options{})
		start(t, runners[i])
		if i == 0 {
			if id := receive(t, ran); id != "left" {
				t.Errorf("ran %q", id)
			}
		}
	}
	enqueue(t, t.Context(), runners[1], licensing.Job{Kind: "note", Args: note{"mark"}})
	if id := receive(t, ran); id != "mark" {
		t.Errorf("%q was run twice at once", id)
	}
	close(finish)
}

// Jobs that waited begin while other queues still start, and enqueue others within their transactions: on SQLite these hold the one writer
// that the start of a queue needs, so neither may wait for the other.
func TestWaitingJobsEnqueueWhileQueuesStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		const queues = 8
		ran := make(chan string, queues)
		r := newRunner(t, jobs.Config{Driver: d})
		handle(t, r, "note", handler(ran), jobs.Options{})
		for i := range queues {
			kind := fmt.Sprint("first-", i)
			handle(t, r, kind, func(ctx context.Context, _ json.RawMessage) error {
				return d.InTx(ctx, func(ctx context.Context) error {
					time.Sleep(50 * time.Millisecond) // the next queue waits for the writer by then
					return r.Enqueue(ctx, licensing.Job{Kind: "note", Unique: kind, Args: note{kind}})
				})
			}, jobs.Options{Queue: kind})
			enqueue(t, t.Context(), r, licensing.Job{Kind: kind, Args: note{kind}})
		}
		start(t, r)
		seen := map[string]bool{}
		for len(seen) < queues {
			seen[receive(t, ran)] = true
		}
	})
}
