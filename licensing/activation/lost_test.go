package activation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// brittle fails to begin a term as often as it is told, as a process that dies between the two does.
type brittle struct {
	activation.Licenses
	fail int
}

var errCut = errors.New("cut off")

func (b *brittle) Start(ctx context.Context, l license.License) (license.License, error) {
	if b.fail > 0 {
		b.fail--
		return license.License{}, errCut
	}
	return b.Licenses.Start(ctx, l)
}

// A term that starts with the first activation also starts when that was cut off after the seat was taken: with the retry, which burns
// no second seat.
func TestTermStartsAfterACutOffActivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.Type, p.Duration, p.ExpiryBasis = doc.Timed, 30*license.Day, license.FromFirstActivation
		d := w.issue(t, p)
		deps := w.deps
		deps.Licenses = &brittle{Licenses: w.deps.Licenses, fail: 1}
		cut := activation.New(deps)
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cut.Activate(ctx, activateRequest(1)); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Hour)
		out, err := cut.Activate(ctx, activateRequest(1))
		if err != nil {
			t.Fatal(err)
		}
		l, err := w.keys.VerifyLicense(t.Context(), out.License)
		if err != nil || l.ValidUntil != e.Clock.Now().Add(30*24*time.Hour).Unix() || w.lease(t, out.Lease).RestsOn(l) != nil {
			t.Errorf("the term ends at %d: %v", l.ValidUntil, err)
		}
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d", used, held)
		}
	})
}

// A device that asked for its seat again and lost the answer goes on with the lease it has and is not taken for a clone; a clone
// that asks by key is found out all the same.
func TestForkIsNotALostActivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.activate(t.Context(), d.Key, device(1)) // the answer is lost, or a clone's
		if err != nil {
			t.Fatal(err)
		}
		mine, err := w.beat(t.Context(), out.Lease)
		if err != nil {
			t.Fatal(err)
		}
		if mine, err = w.beat(t.Context(), mine.Lease); err != nil {
			t.Fatal(err)
		}
		if w.activation(t, out.Activation).Forked {
			t.Error("a lost answer was taken for a fork")
		}
		if _, err = w.beat(t.Context(), other.Lease); err != nil { // a clone after all
			t.Fatal(err)
		}
		if !w.activation(t, out.Activation).Forked {
			t.Error("the clone was not noticed")
		}
	})
}

// A revival rests on the activation as it was read: when it was revived and released meanwhile no two leases get the same seq.
func TestRevivalFollowsTheSeqItRead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.ReviveWithin = license.Day
		d := w.issue(t, p)
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		for want := int64(2); want <= 3; want++ {
			if _, err := w.leave(t.Context(), out.Lease); err != nil {
				t.Fatal(err)
			}
			if out, err = w.activate(t.Context(), d.Key, device(1)); err != nil {
				t.Fatal(err)
			}
			if got := w.lease(t, out.Lease).Seq; got != want {
				t.Errorf("seq %d, want %d", got, want)
			}
		}
		if _, err := w.leave(t.Context(), out.Lease); err != nil {
			t.Fatal(err)
		}
		stale := activation.Take{Seek: activation.Seek{License: d.License.ID, Subject: "dev:x"}, ID: e.IDs.New("act"), At: e.Clock.Now(),
			Revive: out.Activation, ReviveSeq: 2, Event: licensing.Event{Action: "activation.create", Target: out.Activation}}
		if taken, err := w.deps.Store.TakeSeat(t.Context(), stale); taken || err != nil {
			t.Errorf("revived from an old reading: %v %v", taken, err)
		}
		if used, held := w.seats(t, d.License.ID); used != 0 || held != 0 {
			t.Errorf("used %d, held %d", used, held)
		}
	})
}
