package activation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// While licensing is switched off no new seat is given; devices that have one renew, ask again, and leave.
func TestSwitchedOffStopsNewActivationsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	d := w.issue(t, terms(2))
	out, err := w.activate(t.Context(), d.Key, device(1))
	if err != nil {
		t.Fatal(err)
	}
	w.killed.Set(true)
	if _, err := w.activate(t.Context(), d.Key, device(2)); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("new: %v", err)
	}
	if _, err := w.activate(t.Context(), d.Key, device(1)); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := w.beat(t.Context(), out.Lease); err != nil {
		t.Errorf("heartbeat: %v", err)
	}
	if _, err := w.leave(t.Context(), out.Lease); err != nil {
		t.Errorf("deactivate: %v", err)
	}
}

// A newer device takes the seat of the one silent longest where the policy says so; the seats stay exact.
func TestReplaceOldest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.OverLimit = license.ReplaceOldest
		d := w.issue(t, p)
		var leases []string
		for i := range 3 {
			e.Clock.Advance(time.Hour)
			out, err := w.activate(t.Context(), d.Key, device(i))
			if err != nil {
				t.Fatal(err)
			}
			leases = append(leases, out.Lease)
		}
		if used, held := w.seats(t, d.License.ID); used != 2 || held != 2 {
			t.Errorf("used %d, held %d, want 2", used, held)
		}
		for i, want := range []error{activation.ErrReleased, nil, nil} {
			if _, err := w.beat(t.Context(), leases[i]); !errors.Is(err, want) {
				t.Errorf("device %d: %v, want %v", i, err, want)
			}
		}
	})
}

// Overage adds seats by percent of those promised, and any number of them when it has no end.
func TestOverage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	for percent, want := range map[int64]int{0: 4, 50: 6, -1: 9} {
		p := terms(4)
		p.OveragePercent = percent
		d := w.issue(t, p)
		got := 0
		for i := range 9 {
			if _, err := w.activate(t.Context(), d.Key, device(i)); err == nil {
				got++
			}
		}
		if got != want {
			t.Errorf("overage %d %%: %d seats, want %d", percent, got, want)
		}
	}
}

// Where users take the seats, the same user on two devices has one seat and each device a lease of its own.
func TestUserSeats(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.Seats.By = doc.ByUser
		d := w.issue(t, p)
		as := func(user string, n int) (sdk.ActivateResponse, error) {
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			return w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(n), User: user})
		}
		ada, bob := doc.UserDigest("editor", "ada"), doc.UserDigest("editor", "bob")
		one, err := as(ada, 1)
		if err != nil {
			t.Fatal(err)
		}
		two, err := as(ada, 2)
		if err != nil || two.Activation != one.Activation {
			t.Errorf("second device: %v, %v", two.Activation, err)
		}
		if _, err := as(bob, 1); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("second user: %v", err)
		}
		if _, err := as("", 1); !errors.Is(err, activation.ErrUser) {
			t.Errorf("no user: %v", err)
		}
		for _, out := range []sdk.ActivateResponse{one, two, one} {
			next, err := w.beat(t.Context(), out.Lease)
			if err != nil || w.lease(t, next.Lease).Device["disk"] != w.lease(t, out.Lease).Device["disk"] {
				t.Errorf("heartbeat: %v", err)
			}
		}
		if w.activation(t, one.Activation).Forked {
			t.Error("a user's two devices were taken for a fork")
		}
	})
}

// A term that starts with the first activation starts then, once, and the device gets the token that says so.
func TestTermStartsWithFirstActivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.Type, p.Duration, p.ExpiryBasis = doc.Timed, 30*license.Day, license.FromFirstActivation
		d := w.issue(t, p)
		e.Clock.Advance(100 * 24 * time.Hour)
		for i := range 2 {
			out, err := w.activate(t.Context(), d.Key, device(i))
			if err != nil {
				t.Fatal(err)
			}
			l, err := w.keys.VerifyLicense(t.Context(), out.License)
			if err != nil {
				t.Fatal(err)
			}
			if want := storetest.NewClock().Now().Add(130 * 24 * time.Hour).Unix(); l.ValidUntil != want || l.TokenID == d.License.Token.JTI {
				t.Errorf("device %d: valid until %d, want %d", i, l.ValidUntil, want)
			}
			if err := w.lease(t, out.Lease).RestsOn(l); err != nil {
				t.Error(err)
			}
			e.Clock.Advance(24 * time.Hour)
		}
		e.Clock.Advance(60 * 24 * time.Hour)
		_, err := w.activate(t.Context(), d.Key, device(7))
		var told *licensing.Error
		if !errors.As(err, &told) || told.Code != sdk.CodeLicenseExpired {
			t.Errorf("after the term: %v", err)
		}
	})
}
