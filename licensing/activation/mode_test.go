package activation_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// fill activates devices until as many hold a seat as there are, and returns their leases.
func (w *world) fill(t *testing.T, key string, from, n int) []string {
	t.Helper()
	var leases []string
	for i := range n {
		out, err := w.activate(t.Context(), key, device(from+i))
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, out.Lease)
	}
	return leases
}

// Exactly as many devices hold a seat as there are seats, whatever gives and takes them: an overage; newer devices that replace the
// oldest, when everybody gets a seat and the others lose theirs; devices that come back within the time of revival to fewer free seats
// than there are of them; borrowed seats, before their date and after.
func TestS01_ExactInEveryMode(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		exact := func(id string, want int) {
			t.Helper()
			if used, held := w.seats(t, id); used != want || held != want {
				t.Errorf("used %d, held %d, want %d", used, held, want)
			}
		}
		activate := func(r *replica) activator { return r.activate }
		for range storetest.Soak(1, 200) {
			p := terms(5)
			p.OveragePercent = 50
			d := w.issue(t, p)
			if got := w.race(t, d.Key, 60, activate); got != 7 {
				t.Errorf("overage: %d devices got a seat, want 7", got)
			}
			exact(d.License.ID, 7)

			p = terms(5)
			p.OverLimit = license.ReplaceOldest
			d = w.issue(t, p)
			if got := w.race(t, d.Key, 60, activate); got != 60 {
				t.Errorf("replacement: %d devices got a seat, want all", got)
			}
			exact(d.License.ID, 5)

			p = terms(40)
			p.ReviveWithin = license.Day
			d = w.issue(t, p)
			for _, lease := range w.fill(t, d.Key, 0, 40) {
				if _, err := w.leave(t.Context(), lease); err != nil {
					t.Fatal(err)
				}
			}
			five := int64(5)
			if _, err := w.licenses.Change(staff(t.Context()), license.ChangeRequest{ID: d.License.ID, Reason: "smaller", Seats: &five}); err != nil {
				t.Fatal(err)
			}
			if got := w.race(t, d.Key, 40, activate); got != 5 {
				t.Errorf("revival: %d devices got their seat back, want 5", got)
			}
			exact(d.License.ID, 5)

			d = w.issue(t, floating(5))
			for _, lease := range w.fill(t, d.Key, 100, 3) {
				out, err := w.borrow(t.Context(), lease, day)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.beat(t.Context(), out.Lease); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.race(t, d.Key, 40, activate); got != 2 {
				t.Errorf("three borrowed: %d devices got a seat, want 2", got)
			}
			e.Clock.Advance(day + time.Second) // the borrowed ones are free, the others still hold theirs
			if got := w.race(t, d.Key, 40, activate); got < 3 || got > 5 {
				t.Errorf("after the date: %d devices have a seat, want those with one and 3 more at most", got)
			}
			exact(d.License.ID, 5)
		}
	})
}

// Devices that borrow, give back, leave and come while others ask never make the count leave what there is, and at rest it is that of
// the activations.
func TestS03_StormWithBorrowing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(3))
		var over atomic.Bool
		var wg sync.WaitGroup
		for i := range 8 {
			r := w.replicas[i%2]
			wg.Go(func() {
				lease := ""
				for n := range storetest.Soak(8, 400) {
					if used, held := w.seats(t, d.License.ID); used > 3 || held > 3 {
						over.Store(true)
					}
					switch {
					case lease == "":
						out, err := r.activate(t.Context(), d.Key, device(i))
						if err == nil {
							lease = out.Lease
						} else if !errors.Is(err, activation.ErrSeats) {
							t.Error(err)
						}
					case n%4 == 3:
						if _, err := r.leave(t.Context(), lease); err != nil {
							t.Error(err)
						}
						lease = ""
					default:
						ctx, id, err := r.device(t.Context(), lease)
						if err != nil {
							t.Error(err)
							return
						}
						out, err := r.Borrow(ctx, sdk.BorrowRequest{ID: id, Until: e.Clock.Now().Add(time.Hour).Unix()})
						if err != nil {
							t.Error(err)
							return
						}
						lease = out.Lease
					}
				}
			})
		}
		wg.Wait()
		if used, held := w.seats(t, d.License.ID); over.Load() || used != held {
			t.Errorf("more than three at some time: %t; at rest used %d, held %d", over.Load(), used, held)
		}
	})
}

// forgetful renews as one would at first: the ends of the newest lease are those of the seat, whatever was given before.
type forgetful struct {
	activation.Store
	db db.DB
}

// Renew implements [activation.Store], wrongly.
func (f forgetful) Renew(ctx context.Context, r activation.Renewal) (int64, error) {
	seq, err := f.Store.Renew(ctx, r)
	if err == nil && seq > 0 {
		_, err = f.db.Exec(ctx, `UPDATE activation SET dies_at = $2 WHERE id = $1`, r.ID, r.DiesAt)
	}
	return seq, err
}

// The walk of TestBorrowIsExactWhenTheAnswerIsLost finds a store that forgets earlier leases: it gives a seat away while a device may
// still run on one of them.
func TestBorrowFindsForgottenLeases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		w.deps.Store = forgetful{w.deps.Store, e.DB}
		w.Service = activation.New(w.deps)
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.borrow(t.Context(), one.Lease, time.Hour); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * time.Hour)
		if _, err := w.activate(t.Context(), d.Key, device(2)); err != nil {
			t.Fatalf("the planted fault does not show: %v", err)
		}
		if dec := w.decision(t, one.License, one.Lease, device(1)); !dec.Allowed {
			t.Errorf("the planted fault hurts nobody: %+v", dec)
		}
	})
}

// pool is a license of an organisation: whoever has its key activates, and each named user holds one seat on all of his devices.
func TestOrganisationPoolOfNamedUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.Seats.By = doc.ByUser
		d := w.issue(t, p)
		users := map[string]bool{}
		for i, name := range []string{"ada@example.com", "bob@example.com", "ada@example.com"} {
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(i), User: doc.UserDigest("editor", name)}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := w.List(staff(t.Context()), activation.ListRequest{License: d.License.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list.Items {
			users[a.User] = true
		}
		if len(list.Items) != 2 || !users[doc.UserDigest("editor", "ada@example.com")] || !users[doc.UserDigest("editor", "bob@example.com")] {
			t.Errorf("the users are %v", users)
		}
		one, err := w.List(staff(t.Context()), activation.ListRequest{License: d.License.ID, State: activation.Held, User: doc.UserDigest("editor", "ada@example.com"), Page: licensing.Page{Limit: 1}})
		if err != nil || len(one.Items) != 1 || one.Next != "" || one.Items[0].User != doc.UserDigest("editor", "ada@example.com") {
			t.Errorf("asked for one user: %+v, %v", one, err)
		}
	})
}

// A list that asks for some of a license's activations is cut into pages after it was narrowed: what is asked for is on the first page,
// however many others came since.
func TestListSomeActivations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(4))
		away, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.borrow(t.Context(), away.Lease, 2*day); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := w.activate(t.Context(), d.Key, device(2+i)); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(what string, r activation.ListRequest, want ...string) {
			t.Helper()
			r.License, r.Limit = d.License.ID, 1
			list, err := w.List(staff(t.Context()), r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range list.Items {
				got = append(got, a.ID)
			}
			if !slices.Equal(got, want) || len(want) == 0 && list.Next != "" {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		ask("those away", activation.ListRequest{Borrowed: true}, away.Activation)
		ask("released", activation.ListRequest{State: activation.Released})
		if _, err := w.Release(staff(t.Context()), activation.ReleaseRequest{ID: away.Activation, Reason: "ends"}); err != nil {
			t.Fatal(err)
		}
		ask("away no longer", activation.ListRequest{Borrowed: true})
		ask("released since", activation.ListRequest{State: activation.Released}, away.Activation)
	})
}
