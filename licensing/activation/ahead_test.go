package activation_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// named are terms of seats that users take.
func named(seats int64) license.Terms {
	t := terms(seats)
	t.Seats.By = doc.ByUser
	return t
}

// signIn activates for a user on a device.
func (w *world) signIn(t *testing.T, key, user string, n int) (sdk.ActivateResponse, error) {
	t.Helper()
	ctx, err := w.holder(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(n), User: doc.UserDigest("editor", user)})
}

// A user who was added ahead has a seat before the first sign-in, finds it then on each device, and loses it when removed; nothing runs offline
// until the sign-in, and the term begins with it. Adding twice takes one seat.
func TestAddUser_IsThereAtSignIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := named(2)
		p.Type, p.Duration, p.ExpiryBasis, p.Activation = doc.Timed, 30*license.Day, license.FromFirstActivation, doc.ActivationRequired
		d := w.issue(t, p)
		ctx := owner(t.Context(), "cus_ada")
		add := activation.AddUserRequest{License: d.License.ID, User: "grace@example.com", Name: "Grace"}
		v, err := w.AddUser(ctx, add)
		if err != nil || !v.Ahead || v.OfflineTill != nil || v.Name != "Grace" || v.User != doc.UserDigest("editor", "grace@example.com") {
			t.Fatalf("added: %+v, %v", v, err)
		}
		if again, err := w.AddUser(ctx, add); err != nil || again.ID != v.ID {
			t.Errorf("added twice: %+v, %v", again, err)
		}
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d, want 1", used, held)
		}
		if l, err := w.licenses.Get(ctx, license.GetRequest{ID: d.License.ID}); err != nil || l.StartedAt != nil {
			t.Errorf("the term began at %v, %v", l.StartedAt, err)
		}
		for n := range 2 {
			out, err := w.signIn(t, d.Key, "grace@example.com", n)
			if err != nil || out.Activation != v.ID {
				t.Fatalf("signed in as %s, %v", out.Activation, err)
			}
		}
		if got := w.activation(t, v.ID); got.Ahead || got.OfflineTill == nil || got.Forked {
			t.Errorf("after the sign-in: %+v", got)
		}
		if l, err := w.licenses.Get(ctx, license.GetRequest{ID: d.License.ID}); err != nil || l.StartedAt == nil {
			t.Errorf("the term began at %v, %v", l.StartedAt, err)
		}
		remove := activation.RemoveUserRequest{License: d.License.ID, User: "grace@example.com"}
		if out, err := w.RemoveUser(ctx, remove); err != nil || out.State != string(activation.Released) {
			t.Errorf("removed: %+v, %v", out, err)
		}
		if _, err := w.RemoveUser(ctx, remove); !errors.Is(err, activation.ErrNoUser) {
			t.Errorf("removed twice: %v", err)
		}
		if used, held := w.seats(t, d.License.ID); used != 0 || held != 0 {
			t.Errorf("used %d, held %d, want none", used, held)
		}
	})
}

// At the limit nobody is added, though the policy lets newer devices replace the oldest; nor to a license of devices, a trial, one that is
// suspended, or somebody else's, which answers as one that does not exist.
func TestAddUser_Refused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := named(1)
		p.OverLimit = license.ReplaceOldest
		full := w.issue(t, p)
		if _, err := w.signIn(t, full.Key, "ada", 1); err != nil {
			t.Fatal(err)
		}
		trial := named(1)
		trial.Type, trial.Duration = doc.Trial, license.Day
		suspended := w.issue(t, named(1))
		if _, err := w.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: suspended.License.ID, Reason: "unpaid"}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what string
			id   string
			by   licensing.Owner
			want error
		}{
			{"a full one", full.License.ID, "cus_ada", activation.ErrSeats}, {"one of devices", w.issue(t, terms(1)).License.ID, "cus_ada", activation.ErrNotNamed},
			{"a trial", w.issue(t, trial).License.ID, "cus_ada", activation.ErrNotNamed}, {"a suspended one", suspended.License.ID, "cus_ada", license.ErrState},
			{"another's", full.License.ID, "cus_eve", licensing.ErrNotFound}, {"nothing", "lic_none", "cus_eve", licensing.ErrNotFound},
		} {
			if _, err := w.AddUser(owner(t.Context(), c.by), activation.AddUserRequest{License: c.id, User: "grace"}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.what, err, c.want)
			}
		}
		if _, err := w.RemoveUser(owner(t.Context(), "cus_eve"), activation.RemoveUserRequest{License: full.License.ID, User: "ada"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("removing another's user: %v", err)
		}
		if used, held := w.seats(t, full.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d, want 1", used, held)
		}
	})
}

// A seat that silence has freed by now is given to whoever is added, though nothing has counted it as free yet, and whatever the policy says of
// newer devices.
func TestAddUser_TakesADeadSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for _, over := range []string{license.Reject, license.ReplaceOldest} {
			p := named(1)
			p.OverLimit, p.DeadAfter = over, 3*license.Day
			d := w.issue(t, p)
			if _, err := w.signIn(t, d.Key, "ada", 1); err != nil {
				t.Fatal(err)
			}
			add := func() error {
				_, err := w.AddUser(owner(t.Context(), "cus_ada"), activation.AddUserRequest{License: d.License.ID, User: "grace"})
				return err
			}
			e.Clock.Advance(3*day - time.Second)
			if err := add(); !errors.Is(err, activation.ErrSeats) {
				t.Errorf("%s, while the seat lives: %v", over, err)
			}
			e.Clock.Advance(2 * time.Second)
			if err := add(); err != nil {
				t.Errorf("%s, after its death: %v", over, err)
			}
			if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
				t.Errorf("%s: used %d, held %d, want 1", over, used, held)
			}
		}
	})
}

// Adding users and signing in at once hands out exactly the seats there are, each user one.
func TestS01_AddingAheadIsExact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, named(5))
		var got atomic.Int64
		var wg sync.WaitGroup
		for n := range 20 {
			user, r := fmt.Sprint("user", n%10), w.replicas[n/10]
			wg.Go(func() {
				var err error
				if n%4 < 2 {
					_, err = r.AddUser(owner(t.Context(), "cus_ada"), activation.AddUserRequest{License: d.License.ID, User: user})
				} else {
					at := *w
					at.replica = r
					_, err = at.signIn(t, d.Key, user, n)
				}
				if err == nil {
					got.Add(1)
				} else if !errors.Is(err, activation.ErrSeats) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if used, held := w.seats(t, d.License.ID); used != 5 || held != 5 || got.Load() < 5 {
			t.Errorf("used %d, held %d, want 5; %d were answered", used, held, got.Load())
		}
	})
}

// A seat that its owner lends is borrowed from the device's next contact on, though the owner lends it twice before; the device is not taken for
// two. It is free at the date, but not before the lease that the device already had has ended. Called back, it is a seat like any other.
func TestLend_FoundAtNextContact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		ctx, now := owner(t.Context(), "cus_ada"), e.Clock.Now()
		if _, err := w.Lend(ctx, activation.LendRequest{ID: one.Activation, Until: now.Add(4 * day)}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("lent for longer than the policy lets: %v", err)
		}
		if _, err := w.Lend(ctx, activation.LendRequest{ID: one.Activation, Until: now}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("lent until now: %v", err)
		}
		if _, err := w.Lend(owner(t.Context(), "cus_eve"), activation.LendRequest{ID: one.Activation, Until: now.Add(day)}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("lent by another: %v", err)
		}
		for _, length := range []time.Duration{2 * day, day} {
			if v, err := w.Lend(ctx, activation.LendRequest{ID: one.Activation, Until: now.Add(length)}); err != nil || v.Borrowed == nil {
				t.Fatalf("lent: %+v, %v", v, err)
			}
		}
		beat, err := w.beat(t.Context(), one.Lease)
		if err != nil {
			t.Fatal(err)
		}
		until := now.Add(day).Truncate(time.Second)
		if l := w.lease(t, beat.Lease); !l.Borrowed || l.Expires != until.Unix() {
			t.Errorf("the lease is %+v", l)
		}
		if v := w.activation(t, one.Activation); v.Forked || !v.Borrowed.Equal(until) {
			t.Errorf("the owner sees %+v", v)
		}
		e.Clock.Advance(day + time.Hour) // past the date; the lease from before the lending would still run
		if _, err := w.activate(t.Context(), d.Key, device(2)); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("the seat was given away while its first lease runs: %v", err)
		}
		e.Clock.Advance(2 * day)
		two, err := w.activate(t.Context(), d.Key, device(2))
		if err != nil {
			t.Fatalf("after every lease: %v", err)
		}
		if _, err := w.Lend(ctx, activation.LendRequest{ID: one.Activation, Until: e.Clock.Now().Add(day)}); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("a seat that is gone: %v", err)
		}
		if _, err := w.Lend(ctx, activation.LendRequest{ID: two.Activation, Until: e.Clock.Now().Add(day)}); err != nil {
			t.Fatal(err)
		}
		if v, err := w.Recall(ctx, activation.RecallRequest{ID: two.Activation}); err != nil || v.Borrowed != nil {
			t.Errorf("called back: %+v, %v", v, err)
		}
		if beat, err := w.beat(t.Context(), two.Lease); err != nil || w.lease(t, beat.Lease).Borrowed {
			t.Errorf("the lease after that is borrowed, or %v", err)
		}
		if _, err := w.Lend(ctx, activation.LendRequest{ID: w.fixed(t), Until: e.Clock.Now().Add(day)}); !errors.Is(err, activation.ErrNotFloating) {
			t.Errorf("a seat that does not float: %v", err)
		}
	})
}

// fixed is an activation of a license whose seats do not float.
func (w *world) fixed(t *testing.T) string {
	t.Helper()
	out, err := w.activate(t.Context(), w.issue(t, terms(1)).Key, device(1))
	if err != nil {
		t.Fatal(err)
	}
	return out.Activation
}
