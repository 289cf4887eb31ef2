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
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const day = 24 * time.Hour

// floating are terms of floating seats: three days offline, an hour of them without a warning.
func floating(seats int64) license.Terms {
	t := terms(seats)
	t.Seats.Floating, t.Fresh, t.Stale, t.Grace, t.Recheck, t.DeadAfter = true, 3600, license.Day, 2*license.Day-3600, 600, 3*license.Day
	return t
}

// borrow borrows the seat behind a lease for a time from now.
func (w *world) borrow(ctx context.Context, lease string, d time.Duration) (sdk.HeartbeatResponse, error) {
	ctx, id, err := w.device(ctx, lease)
	if err != nil {
		return sdk.HeartbeatResponse{}, err
	}
	return w.Borrow(ctx, sdk.BorrowRequest{ID: id, Until: w.Clock.Now().Add(d).Unix()})
}

func (w *world) giveBack(ctx context.Context, lease string) (sdk.HeartbeatResponse, error) {
	ctx, id, err := w.device(ctx, lease)
	if err != nil {
		return sdk.HeartbeatResponse{}, err
	}
	return w.EndBorrow(ctx, sdk.ReturnRequest{ID: id})
}

// decision is what a product without a network makes of a token and a lease.
func (w *world) decision(t *testing.T, token, lease string, device map[string]string) eval.Decision {
	t.Helper()
	l, err := w.keys.VerifyLicense(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return eval.Evaluate(eval.Input{License: l, Lease: w.lease(t, lease), Now: w.Clock.Now().Unix(), Request: eval.Request{Product: "editor", Device: device}})
}

// A borrowed seat is its device's until the date, without a warning and though it is silent, and free at the date though it still is;
// the device stops at the same instant.
func TestBorrowToADate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.borrow(t.Context(), one.Lease, 2*day)
		if err != nil {
			t.Fatal(err)
		}
		until := e.Clock.Now().Add(2 * day).Truncate(time.Second)
		if l := w.lease(t, got.Lease); !l.Borrowed || l.Expires != until.Unix() || l.FreshUntil != until.Unix() {
			t.Errorf("the lease is %+v", l)
		}
		beat, err := w.beat(t.Context(), got.Lease) // shows that the borrowed lease arrived
		if err != nil || !w.lease(t, beat.Lease).Borrowed {
			t.Fatalf("the contact ended the borrowing: %v", err)
		}
		if v := w.activation(t, one.Activation); v.Borrowed == nil || !v.Borrowed.Equal(until) || !v.OfflineTill.Equal(until) {
			t.Errorf("the owner sees %+v", v)
		}
		e.Clock.Advance(2*day - time.Second)
		if dec := w.decision(t, one.License, beat.Lease, device(1)); !dec.Allowed || dec.Code != eval.Valid {
			t.Errorf("the second before: %+v", dec)
		}
		if _, err := w.activate(t.Context(), d.Key, device(2)); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("another device, the second before: %v", err)
		}
		e.Clock.Advance(2 * time.Second)
		if dec := w.decision(t, one.License, beat.Lease, device(1)); dec.Allowed || dec.Code != eval.LeaseExpired {
			t.Errorf("after the date: %+v", dec)
		}
		if _, err := w.activate(t.Context(), d.Key, device(2)); err != nil {
			t.Errorf("another device, after the date: %v", err)
		}
		if _, err := w.beat(t.Context(), beat.Lease); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("the first device: %v", err)
		}
	})
}

// When the answer to borrowing was lost, the device may run on its lease from before, so the seat is not free before that has ended
// either: no instant has two devices on one seat.
func TestBorrowIsExactWhenTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, floating(1))
		one, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.borrow(t.Context(), one.Lease, time.Hour); err != nil {
			t.Fatal(err)
		}
		end := time.Unix(w.lease(t, one.Lease).Expires, 0)
		for e.Clock.Now().Before(end) {
			if dec := w.decision(t, one.License, one.Lease, device(1)); !dec.Allowed {
				t.Fatalf("the lease from before ended early: %+v", dec)
			}
			if _, err := w.activate(t.Context(), d.Key, device(2)); !errors.Is(err, activation.ErrSeats) {
				t.Fatalf("two devices on one seat %s before the end: %v", end.Sub(e.Clock.Now()), err)
			}
			e.Clock.Advance(6 * time.Hour)
		}
		e.Clock.Advance(time.Second)
		if _, err := w.activate(t.Context(), d.Key, device(2)); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// A borrowing ends early when the device gives it back, with its seat or without; it is refused for a seat that does not float, beyond
// the offline time, into the past and after the seat is gone; a newer device does not replace a borrowed one.
func TestBorrowEndsAndLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := floating(2)
		p.OverLimit = license.ReplaceOldest
		d := w.issue(t, p)
		leases := map[int]string{}
		for i := range 2 {
			out, err := w.activate(t.Context(), d.Key, device(i))
			if err != nil {
				t.Fatal(err)
			}
			leases[i] = out.Lease
			e.Clock.Advance(time.Minute)
		}
		for name, span := range map[string]time.Duration{"past": -time.Hour, "now": 0, "beyond the offline time": 3*day + 2*time.Second} {
			if _, err := w.borrow(t.Context(), leases[0], span); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range 2 {
			out, err := w.borrow(t.Context(), leases[i], 3*day)
			if err != nil {
				t.Fatal(err)
			}
			leases[i] = out.Lease
		}
		if _, err := w.activate(t.Context(), d.Key, device(3)); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("a newer device, with all borrowed: %v", err)
		}
		out, err := w.giveBack(t.Context(), leases[1])
		if err != nil || w.lease(t, out.Lease).Borrowed {
			t.Fatalf("given back: %v", err)
		}
		if _, err := w.activate(t.Context(), d.Key, device(3)); err != nil {
			t.Errorf("a newer device, with one that is not borrowed: %v", err)
		}
		if _, err := w.beat(t.Context(), leases[0]); err != nil {
			t.Errorf("the borrowed one was replaced: %v", err)
		}
		if _, err := w.leave(t.Context(), leases[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.borrow(t.Context(), leases[0], time.Hour); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("after the seat was given back: %v", err)
		}
		if n := len(w.trail(t, "activation.borrow")); n != 2 {
			t.Errorf("%d borrowings in the trail", n)
		}
		if n := len(w.trail(t, "activation.return")); n != 1 {
			t.Errorf("%d returns in the trail", n)
		}
		fixed := w.issue(t, terms(1))
		one, err := w.activate(t.Context(), fixed.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.borrow(t.Context(), one.Lease, time.Hour); !errors.Is(err, activation.ErrNotFloating) {
			t.Errorf("a fixed seat: %v", err)
		}
	})
}
