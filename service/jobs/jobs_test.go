package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/jobs"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// database is what the tests need of an adapter.
type database interface {
	db.DB
	jobs.Driver
	MigrateQueue(ctx context.Context, down bool) error
}

// each runs body on a fresh database of either engine.
func each(t *testing.T, body func(t *testing.T, d database)) {
	t.Helper()
	run := func(t *testing.T, d database, err error) {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := d.MigrateQueue(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		body(t, d)
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		d, err := lite.Open(t.Context(), lite.Config{Path: filepath.Join(t.TempDir(), "test.db")})
		run(t, d, err)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		d, err := pg.Open(t.Context(), pg.Config{URL: dbtest.PostgresDatabase(t, "")})
		run(t, d, err)
	})
}

// newRunner makes a runner that is stopped when the test ends.
func newRunner(t *testing.T, c jobs.Config) *jobs.Runner {
	t.Helper()
	r, err := jobs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func handle(t *testing.T, r *jobs.Runner, kind string, h jobs.Handler, o jobs.Options) {
	t.Helper()
	if err := r.Handle(kind, h, o); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, r *jobs.Runner) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, ctx context.Context, r *jobs.Runner, j licensing.Job) {
	t.Helper()
	if err := r.Enqueue(ctx, j); err != nil {
		t.Fatal(err)
	}
}

// receive waits for a value.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

type note struct {
	ID string `json:"id"`
}

// handler sends the id of each job it runs.
func handler(ran chan<- string) jobs.Handler {
	return func(_ context.Context, args json.RawMessage) error {
		var n note
		if err := json.Unmarshal(args, &n); err != nil {
			return err
		}
		ran <- n.ID
		return nil
	}
}

var errNo = errors.New("no")

// A job exists exactly when its transaction commits: one rolled back, also in a savepoint, never runs, one committed does.
func TestJobLivesAndDiesWithItsTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		r := newRunner(t, jobs.Config{Driver: d})
		ran := make(chan string, 10)
		handle(t, r, "note", handler(ran), jobs.Options{})
		start(t, r)
		for id, result := range map[string]error{"kept": nil, "undone": errNo} {
			err := d.InTx(t.Context(), func(ctx context.Context) error {
				enqueue(t, ctx, r, licensing.Job{Kind: "note", Args: note{id}})
				_ = d.InTx(ctx, func(ctx context.Context) error {
					enqueue(t, ctx, r, licensing.Job{Kind: "note", Args: note{"nested " + id}})
					return errNo
				})
				return result
			})
			if !errors.Is(err, result) {
				t.Fatal(err)
			}
		}
		if id := receive(t, ran); id != "kept" {
			t.Errorf("ran %q", id)
		}
		var left int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM river_job").Scan(&left); err != nil || left != 1 {
			t.Errorf("%d jobs in the table, %v", left, err)
		}
	})
}

// A job does not run before its transaction has committed, and sees what the transaction wrote.
func TestJobRunsAfterCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		if _, err := d.Exec(t.Context(), `CREATE TABLE thing (id text PRIMARY KEY)`); err != nil {
			t.Fatal(err)
		}
		r := newRunner(t, jobs.Config{Driver: d})
		seen := make(chan error, 1)
		handle(t, r, "look", func(ctx context.Context, _ json.RawMessage) error {
			var id string
			seen <- d.QueryRow(ctx, `SELECT id FROM thing`).Scan(&id)
			return nil
		}, jobs.Options{})
		start(t, r)
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			enqueue(t, ctx, r, licensing.Job{Kind: "look"})
			_, err := d.Exec(ctx, `INSERT INTO thing VALUES ('a')`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := receive(t, seen); err != nil {
			t.Errorf("the job ran without its transaction's row: %v", err)
		}
	})
}

// A handler acts as the system under its job's name, with a deadline.
func TestHandlerIsASystemActor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		r := newRunner(t, jobs.Config{Driver: d})
		got := make(chan string, 1)
		handle(t, r, "who", func(ctx context.Context, _ json.RawMessage) error {
			_, deadline := ctx.Deadline()
			got <- fmt.Sprint(licensing.ActorFrom(ctx), " ", licensing.CallFrom(ctx).Operation, " ", deadline)
			return nil
		}, jobs.Options{})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "who"})
		if s := receive(t, got); s != "system:who who true" {
			t.Errorf("got %q", s)
		}
	})
}

// A failed job, and one that panicked, is tried again with a growing attempt until it succeeds.
func TestFailedJobIsRetried(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		var attempts []int
		var runs atomic.Int64
		done := make(chan struct{})
		r := newRunner(t, jobs.Config{Driver: d})
		handle(t, r, "flaky", func(context.Context, json.RawMessage) error {
			switch runs.Add(1) {
			case 1:
				return errNo
			case 2:
				panic("boom")
			}
			close(done)
			return nil
		}, jobs.Options{Backoff: func(attempt int) time.Duration {
			attempts = append(attempts, attempt)
			return time.Millisecond
		}})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "flaky"})
		receive(t, done)
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(attempts) != "[1 2]" || runs.Load() != 3 {
			t.Errorf("pauses after attempts %v, %d runs", attempts, runs.Load())
		}
	})
}

// A job that used up its attempts is discarded and not run again.
func TestExhaustedJobIsDiscarded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		runs := make(chan string, 10)
		r := newRunner(t, jobs.Config{Driver: d})
		handle(t, r, "hopeless", func(context.Context, json.RawMessage) error { runs <- ""; return errNo },
			jobs.Options{MaxAttempts: 2, Backoff: func(int) time.Duration { return 0 }})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "hopeless"})
		receive(t, runs)
		receive(t, runs)
		awaitState(t, d, "hopeless", "discarded")
		if len(runs) != 0 {
			t.Error("it ran a third time")
		}
	})
}

// awaitState waits until the only job of a kind is in a state.
func awaitState(t *testing.T, d db.DB, kind, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	var state string
	for time.Now().Before(deadline) {
		if err := d.QueryRow(t.Context(), `SELECT CAST(state AS text) FROM river_job WHERE kind = $1`, kind).Scan(&state); err != nil {
			t.Fatal(err)
		}
		if state == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the job is %s, want %s", state, want)
}

// A snoozed job runs again later and uses up no attempt; a cancelled one never runs again.
func TestSnoozeAndCancel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		var runs atomic.Int64
		done := make(chan struct{})
		r := newRunner(t, jobs.Config{Driver: d})
		handle(t, r, "sleepy", func(context.Context, json.RawMessage) error {
			if runs.Add(1) < 3 {
				return jobs.Snooze(time.Millisecond)
			}
			close(done)
			return nil
		}, jobs.Options{MaxAttempts: 1})
		handle(t, r, "futile", func(context.Context, json.RawMessage) error { return jobs.Cancel(errNo) }, jobs.Options{})
		start(t, r)
		enqueue(t, t.Context(), r, licensing.Job{Kind: "sleepy"})
		enqueue(t, t.Context(), r, licensing.Job{Kind: "futile"})
		receive(t, done)
		awaitState(t, d, "futile", "cancelled")
	})
}

// While a job with a key has not finished, a second of the same kind and key is not added, not even by concurrent
// transactions; another key, another kind and a job after the end of the first are.
func TestUniqueJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d database) {
		r := newRunner(t, jobs.Config{Driver: d})
		ran := make(chan string, 100)
		handle(t, r, "note", handler(ran), jobs.Options{})
		handle(t, r, "other", handler(ran), jobs.Options{})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				err := d.InTx(t.Context(), func(ctx context.Context) error {
					return r.Enqueue(ctx, licensing.Job{Kind: "note", Unique: "a", Args: note{fmt.Sprint(i)}})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Unique: "b", Args: note{"b"}})
		enqueue(t, t.Context(), r, licensing.Job{Kind: "other", Unique: "a", Args: note{"other"}})
		var n int
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM river_job").Scan(&n); err != nil || n != 3 {
			t.Fatalf("%d jobs, %v; want 3", n, err)
		}
		start(t, r)
		for range 3 {
			receive(t, ran)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		enqueue(t, t.Context(), r, licensing.Job{Kind: "note", Unique: "a", Args: note{"again"}})
		if err := d.QueryRow(t.Context(), "SELECT count(*) FROM river_job").Scan(&n); err != nil || n != 4 {
			t.Errorf("after the first had finished: %d jobs, %v; want 4", n, err)
		}
	})
}

// Mistakes in wiring are errors, not surprises at run time.
func TestWiringMistakes(t *testing.T) {
	t.Parallel()
	d, err := lite.Open(t.Context(), lite.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.MigrateQueue(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, jobs.Config{Driver: d})
	if err := r.Start(t.Context()); err == nil {
		t.Error("a runner without handlers started")
	}
	nothing := func(context.Context, json.RawMessage) error { return nil }
	handle(t, r, "kind-a", nothing, jobs.Options{})
	start(t, r)
	_, noDriver := jobs.New(jobs.Config{})
	for name, err := range map[string]error{
		"no driver":      noDriver,
		"handle twice":   r.Handle("kind-a", nothing, jobs.Options{}),
		"handle late":    r.Handle("kind-b", nothing, jobs.Options{}),
		"no function":    r.Handle("kind-c", nil, jobs.Options{}),
		"start twice":    r.Start(t.Context()),
		"no kind":        r.Enqueue(t.Context(), licensing.Job{}),
		"unmarshallable": r.Enqueue(t.Context(), licensing.Job{Kind: "kind-a", Args: make(chan int)}),
		"too often":      r.Every("kind-d", time.Millisecond, func(context.Context) error { return nil }),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
