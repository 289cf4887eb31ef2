package lite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// A worker that finds nothing to do leaves the writer to others: it is answered while somebody holds that. One that looks with the statement that
// fetches waits for it.
func TestWorkersLookBesideTheWriter(t *testing.T) {
	t.Parallel()
	d, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.MigrateQueue(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	fetch := func(e riverdriver.Executor, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		answer := make(chan error)
		go func() { // beside the transaction
			found, err := e.JobGetAvailable(ctx, &riverdriver.JobGetAvailableParams{ClientID: "c", MaxAttemptedBy: 1, MaxToLock: 1, Queue: "default"})
			if err == nil && len(found.Jobs) != 0 {
				t.Errorf("found %d jobs", len(found.Jobs))
			}
			answer <- err
		}()
		return <-answer
	}
	driver := riversqlite.New(d.writer)
	err = d.InTx(t.Context(), func(context.Context) error {
		if err := fetch((&looking{driver, d}).GetExecutor(), time.Minute); err != nil {
			t.Errorf("it waits for the writer: %v", err)
		}
		if fetch(driver.GetExecutor(), 100*time.Millisecond) == nil {
			t.Error("the statement that fetches needs no writer, so the test of looking proves nothing")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
