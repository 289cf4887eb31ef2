package storetest

import (
	"context"
	"testing"
	"time"
)

// Crossing is two transactions that lock the same rows. First and Then are the two halves of one of them; Other is the other one, or an operation
// with transactions of its own.
type Crossing struct {
	First, Then, Other func(ctx context.Context) error
}

// Cross runs Other between the halves of the transaction, on PostgreSQL, and fails the test when the two come to wait for each other: Other may
// wait for the first half or not, but must then hold nothing that the second half needs. It finds that out without waiting: the transaction
// looks for a deadlock at once, so it is the one that loses, and its first half is run again.
func Cross(t *testing.T, e Env, c Crossing) {
	t.Helper()
	const waits = `SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid))`
	other, ended := make(chan struct{}), error(nil)
	runs := 0
	err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
		if runs++; runs > 1 { // it lost, and gives way
			<-other
			return nil
		}
		var set string
		if err := e.DB.QueryRow(ctx, `SELECT set_config('deadlock_timeout', '1ms', true)`).Scan(&set); err != nil {
			close(other)
			return err
		}
		if err := c.First(ctx); err != nil {
			close(other)
			return err
		}
		go func() {
			defer close(other)
			ended = c.Other(context.WithoutCancel(t.Context()))
		}()
		for n := 0; n == 0; {
			if err := e.DB.QueryRow(ctx, waits).Scan(&n); err != nil {
				return err
			}
			select {
			case <-other:
				n = 1
			case <-time.After(time.Millisecond):
			}
		}
		return c.Then(ctx)
	})
	<-other
	if err != nil || ended != nil {
		t.Errorf("the transaction ended with %v, the other with %v", err, ended)
	}
	if runs != 1 {
		t.Error("the two waited for each other")
	}
}
