package activation_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// counted counts the round trips to a database.
type counted struct {
	db.DB
	trips atomic.Int64
}

func (c *counted) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	c.trips.Add(1)
	return c.DB.Exec(ctx, sql, args...)
}

func (c *counted) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	c.trips.Add(1)
	return c.DB.Query(ctx, sql, args...)
}

func (c *counted) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	c.trips.Add(1)
	return c.DB.QueryRow(ctx, sql, args...)
}

func (c *counted) Ask(ctx context.Context, q ...db.Question) error {
	c.trips.Add(1)
	return c.DB.Ask(ctx, q...)
}

func (c *counted) Batch(ctx context.Context, s []db.Statement) ([]int64, error) {
	c.trips.Add(1)
	return c.DB.Batch(ctx, s)
}

func (c *counted) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	c.trips.Add(2) // BEGIN and COMMIT
	return c.DB.InTx(ctx, fn)
}

// A new activation, a repeated one, a heartbeat and a deactivation cost two round trips each, audit rows included.
func TestTwoRoundTrips(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	c := &counted{DB: e.DB}
	r := newReplica(t, e, c)
	w := &world{Env: e, replica: r, replicas: []*replica{r}}
	d := w.issue(t, terms(2))
	ctx, err := r.holder(t.Context(), d.Key)
	if err != nil {
		t.Fatal(err)
	}
	cost := func(what string, do func() error) {
		t.Helper()
		before := c.trips.Load()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := c.trips.Load() - before; got != 2 {
			t.Errorf("%s: %d round trips, want 2", what, got)
		}
	}
	var out sdk.ActivateResponse
	activate := func() (err error) {
		out, err = r.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(1)})
		return err
	}
	cost("a new activation", activate)
	cost("the same again", activate)
	actor, err := r.ByLease(t.Context(), out.Lease)
	if err != nil {
		t.Fatal(err)
	}
	cost("a heartbeat", func() error {
		_, err := r.Heartbeat(licensing.WithCall(t.Context(), &licensing.Call{Actor: actor}), sdk.HeartbeatRequest{ID: out.Activation})
		return err
	})
	cost("a deactivation", func() error {
		_, err := r.Deactivate(licensing.WithCall(t.Context(), &licensing.Call{Actor: actor}), sdk.DeactivateRequest{ID: out.Activation})
		return err
	})
}
