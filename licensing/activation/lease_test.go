package activation_test

import (
	"errors"
	"strings"
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

// An activation's answer is a license and a lease that belong together, verify offline, and say yes there.
func TestActivationIsGoodOffline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(1), Nonce: "n-1"})
		if err != nil {
			t.Fatal(err)
		}
		l, err := w.keys.VerifyLicense(t.Context(), out.License)
		if err != nil {
			t.Fatal(err)
		}
		lease := w.lease(t, out.Lease)
		if err := lease.RestsOn(l); err != nil {
			t.Error(err)
		}
		if lease.Seq != 1 || lease.Nonce != "n-1" || lease.Expires-lease.IssuedAt != 3*license.Day || lease.Activation != out.Activation {
			t.Errorf("lease says %+v", lease)
		}
		if got := eval.Evaluate(eval.Input{License: l, Lease: lease, Now: e.Clock.Now().Unix(), Request: eval.Request{Product: "editor", Device: device(1)}}); !got.Allowed || got.Code != eval.Valid {
			t.Errorf("offline: %+v", got)
		}
		if !out.Decision.Allowed {
			t.Errorf("server: %+v", out.Decision)
		}
	})
}

// A heartbeat succeeds however late while the seat is held, with the next seq, and a lost reply costs nothing.
func TestHeartbeatHoweverLate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(400 * 24 * time.Hour) // far beyond the lease's end
		for want := int64(2); want <= 3; want++ {
			// The first reply is lost: the same lease is presented again.
			next, err := w.beat(t.Context(), out.Lease)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.lease(t, next.Lease); got.Seq != want || got.IssuedAt != e.Clock.Now().Unix() {
				t.Errorf("seq %d at %d, want %d", got.Seq, got.IssuedAt, want)
			}
			if next.License != "" {
				t.Error("the license came along although its jti did not change")
			}
		}
		if a := w.activation(t, out.Activation); a.Forked {
			t.Error("a lost reply was taken for a fork")
		}
	})
}

// activation reads an activation as staff.
func (w *world) activation(t *testing.T, id string) activation.View {
	t.Helper()
	a, l, err := w.deps.Store.Activation(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.List(staff(t.Context()), activation.ListRequest{License: l.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range page.Items {
		if v.ID == a.ID {
			return v
		}
	}
	t.Fatalf("activation %s is not listed", id)
	return activation.View{}
}

// Two machines that go on from a copy of one lease are found out and flagged, whichever comes first.
func TestForkedLeaseIsFlagged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		a, b := out.Lease, out.Lease
		for range 2 {
			for _, lease := range []*string{&a, &b} {
				next, err := w.beat(t.Context(), *lease)
				if err != nil {
					t.Fatal(err)
				}
				*lease = next.Lease
			}
		}
		if !w.activation(t, out.Activation).Forked {
			t.Error("the clone was not noticed")
		}
	})
}

// After a release the heartbeat fails with "released", whoever released; the same device may activate anew.
func TestHeartbeatAfterRelease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		owner := licensing.WithCall(t.Context(), &licensing.Call{Operation: "activation.release", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}})
		v, err := w.Release(owner, activation.ReleaseRequest{ID: out.Activation})
		if err != nil || v.State != "released" || v.OfflineTill == nil || v.OfflineTill.Unix() != w.lease(t, out.Lease).Expires {
			t.Fatalf("release: %+v, %v", v, err)
		}
		if _, err := w.beat(t.Context(), out.Lease); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("heartbeat after release: %v", err)
		}
		again, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil || again.Activation == out.Activation {
			t.Errorf("without revive_within the activation is a new one: %v, %v", again.Activation, err)
		}
	})
}

// A device that stopped long ago cannot renew its way back to a seat that somebody else has taken since; within
// revive_within it gets the same activation back, if a seat is free.
func TestS11_ExpiredLeaseCannotReviveATakenSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.Seats.Floating, p.DeadAfter, p.ReviveWithin = true, 4*license.Day, 30*license.Day
		d := w.issue(t, p)
		first, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(5 * 24 * time.Hour)
		second, err := w.activate(t.Context(), d.Key, device(2)) // culls the dead one by itself
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.beat(t.Context(), first.Lease); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("the dead one renewed: %v", err)
		}
		if _, err := w.activate(t.Context(), d.Key, device(1)); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("the dead one took a seat: %v", err)
		}
		if _, err := w.leave(t.Context(), second.Lease); err != nil {
			t.Fatal(err)
		}
		revived, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil || revived.Activation != first.Activation {
			t.Errorf("revived %q, was %q: %v", revived.Activation, first.Activation, err)
		}
		if got := w.lease(t, revived.Lease); got.Seq != 2 {
			t.Errorf("seq %d, want 2", got.Seq)
		}
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d", used, held)
		}
	})
}

// The job that frees dead seats frees those and no others.
func TestCullFreesTheDeadOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(3)
		p.DeadAfter = 4 * license.Day
		d := w.issue(t, p)
		var leases []string
		for i := range 3 {
			out, err := w.activate(t.Context(), d.Key, device(i))
			if err != nil {
				t.Fatal(err)
			}
			leases = append(leases, out.Lease)
		}
		e.Clock.Advance(3 * 24 * time.Hour)
		if _, err := w.beat(t.Context(), leases[0]); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(2 * 24 * time.Hour)
		if n, err := w.Cull(t.Context()); err != nil || n != 2 {
			t.Errorf("culled %d, %v; want 2", n, err)
		}
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d", used, held)
		}
	})
}

// Unknown, suspended, revoked, and another product's: one answer when it asks for a seat.
func TestS08_RefusalsLookAlike(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		suspended, revoked, good := w.issue(t, terms(1)), w.issue(t, terms(1)), w.issue(t, terms(1))
		if _, err := w.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: suspended.License.ID, Reason: "dispute"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.licenses.Revoke(staff(t.Context()), license.StateRequest{ID: revoked.License.ID, Reason: "refund"}); err != nil {
			t.Fatal(err)
		}
		unknown, err := doc.NewLicenseKey("MINT", strings.NewReader(strings.Repeat("x", 64)))
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string]struct{ credential, product string }{
			"unknown": {unknown, "editor"}, "malformed": {"!", "editor"}, "suspended": {suspended.Key, "editor"}, "revoked": {revoked.Key, "editor"},
			"suspended token": {suspended.License.Token.Text, "editor"}, "forged token": {good.License.Token.Text[:len(good.License.Token.Text)-4] + "AAAA", "editor"},
			"other product": {good.Key, "viewer"},
		} {
			ctx, err := w.holder(t.Context(), ask.credential)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, err = w.Activate(ctx, sdk.ActivateRequest{Product: ask.product, Device: device(1)})
			if err != error(activation.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// An activation of another customer cannot be released, read or guessed at: it does not exist for the caller, and a device
// reaches its own alone.
func TestS10_OtherCustomersActivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(2))
		mine, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.activate(t.Context(), d.Key, device(2))
		if err != nil {
			t.Fatal(err)
		}
		stranger := licensing.WithCall(t.Context(), &licensing.Call{Operation: "x", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}})
		if _, err := w.Release(stranger, activation.ReleaseRequest{ID: mine.Activation}); err != error(licensing.ErrNotFound) {
			t.Errorf("release: %v", err)
		}
		if _, err := w.List(stranger, activation.ListRequest{License: d.License.ID}); err != error(licensing.ErrNotFound) {
			t.Errorf("list: %v", err)
		}
		ctx, _, err := w.device(t.Context(), mine.Lease)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Deactivate(ctx, sdk.DeactivateRequest{ID: other.Activation}); err != error(licensing.ErrNotFound) {
			t.Errorf("deactivate: %v", err)
		}
		if _, err := w.Heartbeat(ctx, sdk.HeartbeatRequest{ID: other.Activation}); err != error(licensing.ErrNotFound) {
			t.Errorf("heartbeat: %v", err)
		}
		if used, _ := w.seats(t, d.License.ID); used != 2 {
			t.Errorf("used %d, want 2", used)
		}
	})
}

// The server's clock counts, whatever a lease or a device says: a lease from the future is refused as not authentic, and a new
// one starts at the server's second.
func TestS14_ServerTimeCounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.lease(t, out.Lease).IssuedAt; got != e.Clock.Now().Unix() {
			t.Errorf("issued at %d", got)
		}
		ahead := w.lease(t, out.Lease)
		ahead.IssuedAt += 3600
		ahead.RecheckAt += 3600
		ahead.FreshUntil += 3600
		ahead.Expires += 3600
		forged, _, err := w.keys.SignLease(t.Context(), ahead)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ByLease(t.Context(), forged); licensing.KindOf(err) != licensing.Unauthorized {
			t.Errorf("a lease from the future: %v", err)
		}
	})
}
