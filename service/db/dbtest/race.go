package dbtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/service/db"
)

const racers = 50

// race runs fn in many goroutines at once and returns their errors.
func race(fn func(i int) error) []error {
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// forUpdate: of fifty concurrent read-modify-writes under FOR UPDATE none is lost.
func forUpdate(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, n) VALUES ('a', 0)`)
	for _, err := range race(func(int) error {
		return d.InTx(t.Context(), func(ctx context.Context) error {
			var n int64
			if err := d.QueryRow(ctx, `SELECT n FROM thing WHERE id = 'a' FOR UPDATE`).Scan(&n); err != nil {
				return err
			}
			_, err := d.Exec(ctx, `UPDATE thing SET n = $1 WHERE id = 'a'`, n+1)
			return err
		})
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := count(t, t.Context(), d, "thing WHERE n = 50"); n != 1 {
		t.Error("an update was lost")
	}
}

// conditionalUpdate: UPDATE … WHERE used < max admits exactly max of fifty buyers.
func conditionalUpdate(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, n) VALUES ('a', 0)`)
	var mu sync.Mutex
	admitted := 0
	for _, err := range race(func(int) error {
		n, err := d.Exec(t.Context(), `UPDATE thing SET n = n + 1 WHERE id = 'a' AND n < $1`, 20)
		mu.Lock()
		admitted += int(n)
		mu.Unlock()
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := count(t, t.Context(), d, "thing WHERE n = 20"); n != 1 || admitted != 20 {
		t.Errorf("%d were admitted, want 20", admitted)
	}
}

// uniqueRace: of fifty that insert the same key one wins, and the others are told so.
func uniqueRace(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	won := 0
	for _, err := range race(func(int) error {
		return d.InTx(t.Context(), func(ctx context.Context) error { return insert(ctx, d, "a") })
	}) {
		if err == nil {
			won++
		} else if !errors.Is(err, db.ErrUnique) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

// readsCommitted: a reader beside an open transaction does not wait for it and sees nothing of it, and sees all of it after.
func readsCommitted(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if err := insert(ctx, d, "a"); err != nil {
			return err
		}
		beside := make(chan int64)
		go func() {
			var n int64 = -1
			_ = d.QueryRow(t.Context(), `SELECT count(*) FROM thing`).Scan(&n)
			beside <- n
		}()
		if n := <-beside; n != 0 {
			t.Errorf("a reader saw %d uncommitted rows", n)
		}
		return nil
	})
	if n := count(t, t.Context(), d, "thing"); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
