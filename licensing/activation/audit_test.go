package activation_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// trail reads the audit rows of one action that wait for a number, oldest first, and demands that each has the hash of its content.
func (w *world) trail(t *testing.T, action string) []audit.Row {
	t.Helper()
	rows, err := w.DB.Query(context.Background(), `SELECT a.id, a.at, a.actor, a.request, a.operation, a.action, a.target, a.product, a.reason,
		a.detail, a.leaf FROM audit a JOIN audit_pending p ON p.audit_id = a.id WHERE a.action = $1 ORDER BY a.id`, action)
	found, err := db.Collect(rows, err, func(r db.Row) (a audit.Row, err error) {
		var leaf []byte
		err = r.Scan(&a.ID, &a.At, &a.Actor, &a.Request, &a.Operation, &a.Action, &a.Target, &a.Product, &a.Reason, &a.Detail, &leaf)
		copy(a.Leaf[:], leaf)
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		if r.Hash() != r.Leaf {
			t.Errorf("%s of %s: the hash is not that of the content", r.Action, r.Target)
		}
	}
	return found
}

// Every seat that is taken, revived, replaced, given back or freed by death leaves exactly one row in the audit trail, written with
// the change; asking again, a refusal and a heartbeat leave none.
func TestM07_EverySeatIsInTheTrail(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		terms := terms(1)
		terms.ReviveWithin, terms.DeadAfter = 3600, 30*license.Day
		d := w.issue(t, terms)
		expect := func(action string, want int) []audit.Row {
			t.Helper()
			rows := w.trail(t, action)
			if len(rows) != want {
				t.Fatalf("%d rows of %s, want %d: %+v", len(rows), action, want, rows)
			}
			return rows
		}
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		row := expect("activation.create", 1)[0]
		if row.Target != out.Activation || row.Actor != "holder:"+d.License.ID || row.Product != d.License.ProductID || row.Operation != "activation.create" {
			t.Errorf("%+v", row)
		}
		again, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.beat(t.Context(), again.Lease); err != nil {
			t.Fatal(err)
		}
		if _, err := w.activate(t.Context(), d.Key, device(2)); !errors.Is(err, activation.ErrSeats) {
			t.Fatal(err)
		}
		expect("activation.create", 1)
		for range 2 { // the second time nothing changes
			if _, err := w.leave(t.Context(), again.Lease); err != nil {
				t.Fatal(err)
			}
		}
		if row := expect("activation.release", 1)[0]; row.Target != out.Activation || row.Actor != "device:"+out.Activation {
			t.Errorf("%+v", row)
		}
		if out, err = w.activate(t.Context(), d.Key, device(1)); err != nil {
			t.Fatal(err)
		}
		if row := expect("activation.create", 2)[1]; row.Target != out.Activation || row.Detail == expect("activation.create", 2)[0].Detail {
			t.Errorf("the revival is not told from the first: %+v", row)
		}
		if _, err := w.Release(staff(t.Context()), activation.ReleaseRequest{ID: out.Activation, Reason: "lost laptop"}); err != nil {
			t.Fatal(err)
		}
		if row := expect("activation.release", 2)[1]; row.Actor != "staff:cus_staff" || row.Reason != "lost laptop" {
			t.Errorf("%+v", row)
		}
		if _, err = w.activate(t.Context(), d.Key, device(3)); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(31 * 24 * time.Hour)
		if n, err := w.Cull(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if row := expect("activation.die", 1)[0]; row.Actor != "system:activation.cull" {
			t.Errorf("%+v", row)
		}
	})
}

// Where the newest device replaces the oldest, the trail has both, under contention too: as many replacements as seats were
// taken from others.
func TestM07_ReplacedSeatsAreInTheTrail(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		terms := terms(2)
		terms.OverLimit = license.ReplaceOldest
		d := w.issue(t, terms)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if _, err := w.replicas[i%2].activate(t.Context(), d.Key, device(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(w.trail(t, "activation.create")); n != 10 {
			t.Errorf("%d seats taken in the trail, want 10", n)
		}
		if n := len(w.trail(t, "activation.replace")); n != 8 {
			t.Errorf("%d seats replaced in the trail, want 8", n)
		}
	})
}

// Under an Idempotency-Key the seat, its audit row and the key are one transaction, and the key's result is the activation.
func TestM07_SeatUnderIdempotencyKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		call := licensing.CallFrom(ctx)
		call.IdempotencyKey, call.RequestHash = "k1", []byte("hash")
		out, err := w.Activate(ctx, activateRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		_, result, _, found, err := e.Store.Find(t.Context(), call.Actor.String(), call.Operation, "k1")
		if err != nil || !found || result != out.Activation {
			t.Errorf("the key leads to %q, want %q: %v", result, out.Activation, err)
		}
		if n := len(w.trail(t, "activation.create")); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}
