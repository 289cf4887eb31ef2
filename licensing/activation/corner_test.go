package activation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// repolicy puts a license under other terms.
func (w *world) repolicy(t *testing.T, d *license.Draft, change func(*license.Terms)) {
	t.Helper()
	ctx := staff(t.Context())
	l, err := w.licenses.Get(ctx, license.GetRequest{ID: d.License.ID})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.licenses.GetPolicy(ctx, license.PolicyRequest{ID: l.Policy})
	if err != nil {
		t.Fatal(err)
	}
	change(&p.Terms)
	if p, err = w.licenses.ChangePolicy(ctx, license.ChangePolicyRequest{ID: p.ID, Version: p.Version, Name: p.Name, Terms: p.Terms}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.licenses.Repolicy(ctx, license.RepolicyRequest{ID: l.ID, Version: l.Version, PolicyVersion: p.Version, Reason: "another edition"}); err != nil {
		t.Fatal(err)
	}
}

// The server judges a device whose seat was lent from afar by the lease that it has: one from a contact before that, which ends no later than
// its license lets it run offline.
func TestLentFromAfarIsJudgedByItsContact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * day)
		until := e.Clock.Now().Add(3 * day).Truncate(time.Second)
		if _, err := w.Lend(staff(t.Context()), activation.LendRequest{ID: one.Activation, Until: until}); err != nil {
			t.Fatal(err)
		}
		ask := func() eval.Decision {
			t.Helper()
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			out, err := w.Validate(ctx, activation.ValidateRequest{ValidateRequest: sdk.ValidateRequest{Product: "editor", Device: device(1)}})
			if err != nil {
				t.Fatal(err)
			}
			return out.Decision
		}
		if got := ask(); !got.Allowed {
			t.Errorf("a day before its lease ends: %+v", got)
		}
		if _, err := w.beat(t.Context(), one.Lease); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(3*day - time.Second)
		if got := ask(); !got.Allowed || got.Code != eval.Valid {
			t.Errorf("a second before the date: %+v", got)
		}
	})
}

// A seat that is borrowed for longer than a new policy lets a device run offline has leases that products accept.
func TestBorrowedUnderAShorterPolicy(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		lent, err := w.borrow(t.Context(), one.Lease, 3*day)
		if err != nil {
			t.Fatal(err)
		}
		w.repolicy(t, d, func(p *license.Terms) { p.Stale, p.Grace = license.Day, 0 })
		beat, err := w.beat(t.Context(), lent.Lease)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.decision(t, beat.License, beat.Lease, device(1)); !got.Allowed || !w.lease(t, beat.Lease).Borrowed {
			t.Errorf("%+v", got)
		}
	})
}

// A user who borrows a floating seat with one device for a short time keeps it for as long as a lease lasts that another of the user's devices may
// still be running on: it is nobody else's before.
func TestBorrowedByAUserOfTwoDevices(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := floating(1)
		p.Seats.By = doc.ByUser
		d := w.issue(t, p)
		user := func(name string, n int) (sdk.ActivateResponse, error) {
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			return w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(n), User: doc.UserDigest("editor", name)})
		}
		first, err := user("ada", 1)
		if err != nil {
			t.Fatal(err)
		}
		second, err := user("ada", 2)
		if err != nil {
			t.Fatal(err)
		}
		lent, err := w.borrow(t.Context(), second.Lease, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.beat(t.Context(), lent.Lease); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Hour + time.Second)
		if end := w.lease(t, first.Lease).Expires; end <= e.Clock.Now().Unix() {
			t.Fatalf("the first device's lease ended at %d", end)
		}
		if _, err := user("bob", 3); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("another user, while the first device may run on: %v", err)
		}
		e.Clock.Advance(3 * day)
		if _, err := user("bob", 3); err != nil {
			t.Errorf("another user, when all leases have ended: %v", err)
		}
	})
}

// A seat that is lent keeps its date under another policy, although silence frees seats sooner there, and although the device has not heard of it; and
// nothing is borrowed any more where the new policy has seats that stay: the device keeps its seat then.
func TestBorrowedUnderAnotherPolicy(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * day) // so that the date is behind the end of the lease
		if _, err := w.Lend(staff(t.Context()), activation.LendRequest{ID: one.Activation, Until: e.Clock.Now().Add(3 * day)}); err != nil {
			t.Fatal(err)
		}
		w.repolicy(t, d, func(p *license.Terms) {
			p.Fresh, p.Recheck, p.Stale, p.Grace, p.DeadAfter = 3600, 600, 0, 0, 7200
		})
		held := func() bool {
			t.Helper()
			if _, err := w.Cull(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, n := w.seats(t, d.License.ID)
			return n == 1
		}
		e.Clock.Advance(3*day - time.Minute)
		if !held() {
			t.Error("the seat was free before its date")
		}
		if _, err := w.beat(t.Context(), one.Lease); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * time.Minute)
		if held() {
			t.Error("the seat was held beyond its date")
		}

		d = w.issue(t, floating(1))
		two, err := w.activate(t.Context(), d.Key, device(2))
		if err != nil {
			t.Fatal(err)
		}
		lent, err := w.borrow(t.Context(), two.Lease, 2*day)
		if err != nil {
			t.Fatal(err)
		}
		w.repolicy(t, d, func(p *license.Terms) { p.Seats.Floating, p.DeadAfter = false, 0 })
		next, err := w.beat(t.Context(), lent.Lease)
		if err != nil {
			t.Fatal(err)
		}
		if w.lease(t, next.Lease).Borrowed {
			t.Error("a seat that stays is borrowed")
		}
		e.Clock.Advance(100 * day)
		if !held() {
			t.Error("a seat that stays was freed at the date of a borrowing")
		}
	})
}

// When a license goes over from seats of users to seats of devices, or back, nobody gets the seat back that was held as the other: a device's
// lease is bound to the device, and each user takes a seat.
func TestRevivalStaysWithItsKindOfSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.Seats.By, p.ReviveWithin = doc.ByUser, 30*license.Day
		d := w.issue(t, p)
		user := func(name string, n int) (sdk.ActivateResponse, error) {
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			return w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(n), User: doc.UserDigest("editor", name)})
		}
		free := func() {
			t.Helper()
			list, err := w.List(staff(t.Context()), activation.ListRequest{Page: licensing.Page{}, License: d.License.ID, State: activation.Held})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range list.Items {
				if _, err := w.Release(staff(t.Context()), activation.ReleaseRequest{ID: a.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.AddUser(staff(t.Context()), activation.AddUserRequest{License: d.License.ID, User: "ada"}); err != nil {
			t.Fatal(err)
		}
		free()
		w.repolicy(t, d, func(p *license.Terms) { p.Seats.By = doc.ByDevice })
		one, err := user("ada", 1)
		if err != nil {
			t.Fatal(err)
		}
		if l := w.lease(t, one.Lease); l.Match != 2 || len(l.Device) != len(device(1)) {
			t.Errorf("the lease is bound to %v by %d", l.Device, l.Match)
		}
		free()
		w.repolicy(t, d, func(p *license.Terms) { p.Seats.By = doc.ByUser })
		if _, err := user("ada", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := user("bob", 1); err == nil {
			t.Error("two users hold the one seat, since they use one device")
		}
	})
}

// A device has one trial of a product also where users take the seats, when one of its components changed and another user asks; a device that
// shares less than the policy demands has its own.
func TestTrialOfAUserOncePerDevice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.Type, p.Duration, p.Seats.By = doc.Trial, 14*license.Day, doc.ByUser
		first := w.issue(t, p)
		product := first.License
		again := func(owner licensing.Owner) *license.Draft {
			t.Helper()
			ctx := staff(t.Context())
			d, err := w.licenses.Draft(ctx, license.IssueSpec{Source: license.Source{Kind: license.FromTrial, ID: product.ProductID + "/" + string(owner)}, ProductID: product.ProductID,
				ProductSlug: "editor", PolicyID: product.PolicyID, Owner: owner, Env: licensing.Live})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Store.InTx(ctx, func(ctx context.Context) error { _, err := w.licenses.Issue(ctx, d); return err }); err != nil {
				t.Fatal(err)
			}
			return d
		}
		try := func(d *license.Draft, user string, device map[string]string) error {
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device, User: doc.UserDigest("editor", user)})
			return err
		}
		for i, user := range []string{"ada", "al"} { // two users of one trial, on two devices
			if err := try(first, user, device(1+i)); err != nil {
				t.Fatal(err)
			}
		}
		second := again("cus_bob")
		near := device(1)
		near["board"] = doc.DeviceDigest("editor", "board", "another") // disk and os still agree
		if err := try(second, "bob", near); !errors.Is(err, activation.ErrTrialUsed) {
			t.Errorf("nearly the same device: %v", err)
		}
		if err := try(second, "bob", device(1)); !errors.Is(err, activation.ErrTrialUsed) {
			t.Errorf("the same device: %v", err)
		}
		if err := try(second, "bob", device(9)); err != nil { // its os is that of both others
			t.Errorf("another device: %v", err)
		}
		// a user with a seat brings further devices, of which each has one trial too
		if err := try(second, "bob", device(1)); !errors.Is(err, activation.ErrTrialUsed) {
			t.Errorf("a device that had a trial, of a user with a seat: %v", err)
		}
		if err := try(second, "bob", near); !errors.Is(err, activation.ErrTrialUsed) {
			t.Errorf("nearly that device, of a user with a seat: %v", err)
		}
		for range 2 {
			if err := try(second, "bob", device(10)); err != nil {
				t.Errorf("a new device of a user with a seat: %v", err)
			}
		}
		if err := try(first, "ada", device(10)); !errors.Is(err, activation.ErrTrialUsed) {
			t.Errorf("his device, under another trial: %v", err)
		}
		if err := try(first, "ada", device(1)); err != nil {
			t.Errorf("the device that began it: %v", err)
		}
	})
}
