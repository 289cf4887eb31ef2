package activation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A device that holds a lease without an end goes on with it for as long as it stays offline, whatever its license becomes. So a license that goes
// over from advisory terms to floating ones frees no seat of such a lease by silence, also not when the answer with its first lease that ends is
// lost, nor by lending it: no more devices run than there are seats. The preview says so before, and counts them.
func TestEndlessLeasesKeepTheirSeats(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for _, by := range []string{doc.ByDevice, doc.ByUser} {
			w := newWorld(t, e)
			p := terms(2)
			p.Then, p.Seats.By = doc.ThenAdvisory, by
			d := w.issue(t, p)
			asks := func(n int) (sdk.ActivateResponse, error) {
				ctx, err := w.holder(t.Context(), d.Key)
				if err != nil {
					return sdk.ActivateResponse{}, err
				}
				r := activateRequest(n)
				if by == doc.ByUser {
					r.User = doc.UserDigest("editor", fmt.Sprint("user ", n))
				}
				return w.Activate(ctx, r)
			}
			a, err := asks(1)
			if err != nil {
				t.Fatal(err)
			}
			b, err := asks(2)
			if err != nil {
				t.Fatal(err)
			}
			floats := p
			floats.Then, floats.Seats.Floating, floats.DeadAfter = doc.ThenStop, true, 3*license.Day
			policy, err := w.licenses.CreatePolicy(staff(t.Context()), license.CreatePolicyRequest{ProductID: d.License.ProductID, Code: "floats", Name: "Floats", Terms: floats})
			if err != nil {
				t.Fatal(err)
			}
			look, err := w.licenses.LookRepolicy(staff(t.Context()), license.RepolicyLookRequest{ID: d.License.ID, Policy: policy.ID})
			if err != nil || len(look.Notices) != 1 || look.Notices[0].Code != "endless-leases" || !strings.HasPrefix(look.Notices[0].Detail, "2 of the seats") {
				t.Fatalf("by %s: notices %+v, %v", by, look.Notices, err)
			}
			if _, err := w.licenses.Repolicy(staff(t.Context()), license.RepolicyRequest{ID: d.License.ID, Policy: policy.ID, Reason: "test", Version: look.Version, PolicyVersion: look.PolicyVersion}); err != nil {
				t.Fatal(err)
			}
			full := func(when string) {
				t.Helper()
				e.Clock.Advance(4 * 24 * time.Hour)
				if _, err := asks(3); !errors.Is(err, activation.ErrSeats) {
					t.Errorf("by %s, %s: %v, want %v", by, when, err, activation.ErrSeats)
				}
			}
			full("while both are offline")
			if _, err := w.Lend(staff(t.Context()), activation.LendRequest{ID: b.Activation, Until: e.Clock.Now().Add(24 * time.Hour)}); err != nil {
				t.Fatal(err)
			}
			full("after one was lent to a day that is past")
			beat, err := w.beat(t.Context(), a.Lease) // the answer may be lost
			if err != nil {
				t.Fatal(err)
			}
			full("after the first contact of one")
			if beat, err = w.beat(t.Context(), beat.Lease); err != nil {
				t.Fatal(err)
			}
			if by == doc.ByUser { // another device of the user may have a lease of its own
				full("after the second contact of one of a user's devices")
				if _, err := w.Release(staff(t.Context()), activation.ReleaseRequest{ID: a.Activation}); err != nil {
					t.Fatal(err)
				}
			}
			e.Clock.Advance(4 * 24 * time.Hour)
			if _, err := asks(3); err != nil {
				t.Errorf("by %s, once the lease that ends was seen and is over: %v", by, err)
			}
			if _, err := w.beat(t.Context(), beat.Lease); !errors.Is(err, activation.ErrReleased) {
				t.Errorf("by %s, the device whose seat was given on: %v", by, err)
			}
			if _, err := w.beat(t.Context(), b.Lease); err != nil {
				t.Errorf("by %s, the device that was offline all the time: %v", by, err)
			}
		}
	})
}
