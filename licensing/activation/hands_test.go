package activation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// works makes an organisation that can own things.
func (w *world) works(t *testing.T) string {
	t.Helper()
	id := w.IDs.New("org")
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO organisation (id, name, billing_email, country, vat_id, created_at, updated_at) VALUES ($1, 'Works', '', '', '', $2, $2)`,
		id, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	return id
}

// A key that leaked takes no seat with what was known of it a moment before it was replaced: the answer would carry the token that the new key
// speaks for.
func TestS08_ReplacedKeyTakesNoSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(2))
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.licenses.Reissue(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "leaked"})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := w.Activate(ctx, activateRequest(1)); !errors.Is(err, activation.ErrRefused) || out.License != "" {
			t.Errorf("the old key: %v, token %t", err, out.License != "")
		}
		if used, _ := w.seats(t, d.License.ID); used != 0 {
			t.Errorf("%d seats taken", used)
		}
		if _, err := w.activate(t.Context(), again.Key, device(1)); err != nil {
			t.Errorf("the new key: %v", err)
		}
	})
}

// A license that changed hands gives nobody back a seat of before: the new owner's user with the name of an old one has a seat of his own, and the
// old owner's leases renew nothing by it.
func TestTransferEndsRevival(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.Seats.By, p.ReviveWithin = doc.ByUser, 30*license.Day
		p.Transfer = license.Transfer{Allowed: true}
		d := w.issue(t, p)
		admin := func(key string, n int) sdk.ActivateResponse {
			t.Helper()
			ctx, err := w.holder(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			out, err := w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(n), User: doc.UserDigest("editor", "admin")})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		old := admin(d.Key, 1)
		to := w.works(t)
		if _, err := w.licenses.Transfer(staff(t.Context()), license.TransferRequest{ID: d.License.ID, To: to, Reason: "sold"}); err != nil {
			t.Fatal(err)
		}
		key, err := w.licenses.RevealKey(owner(t.Context(), licensing.Owner(to)), license.GetRequest{ID: d.License.ID})
		if err != nil {
			t.Fatal(err)
		}
		if anew := admin(key.Key, 2); anew.Activation == old.Activation {
			t.Error("the new owner's user has the activation of the old one's")
		}
		if beat, err := w.beat(t.Context(), old.Lease); !errors.Is(err, activation.ErrReleased) {
			t.Errorf("the old owner's lease: %v, token %t", err, beat.License != "")
		}
	})
}

// between does something just before the second look at a license.
type between struct {
	activation.Store
	looks int
	do    func()
}

// Find implements [activation.Store].
func (b *between) Find(ctx context.Context, s activation.Seek) (license.License, *activation.Activation, error) {
	if b.looks++; b.looks == 2 {
		b.do()
	}
	return b.Store.Find(ctx, s)
}

// A request of a machine without a network that is answered while the license changes hands gives its old owner nothing of the new one's.
func TestAirGap_AnswerFollowsTheHands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(2)
		p.Transfer = license.Transfer{Allowed: true}
		d := w.issue(t, p)
		to := w.works(t)
		deps := w.deps
		deps.Store = &between{Store: deps.Store, do: func() {
			if _, err := w.licenses.Transfer(staff(t.Context()), license.TransferRequest{ID: d.License.ID, To: to, Reason: "sold"}); err != nil {
				t.Error(err)
			}
		}}
		out, err := activation.New(deps).Answer(owner(t.Context(), "cus_ada"), activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a")})
		if !errors.Is(err, licensing.ErrNotFound) || out.File != "" {
			t.Errorf("the old owner: %v, file %t", err, out.File != "")
		}
		if used, _ := w.seats(t, d.License.ID); used != 0 {
			t.Errorf("%d seats taken", used)
		}
	})
}
