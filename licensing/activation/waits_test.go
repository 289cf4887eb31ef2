package activation_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A license that goes over to a policy whose term begins with its first use, while a device uses it already, begins it with the next contact of that
// device: which has no reason to activate again, and would use it without an end.
func TestTermOfAUsedLicenseBeginsWithItsNextContact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for _, basis := range []string{license.FromFirstActivation, license.FromFirstValidation} {
			w := newWorld(t, e)
			d := w.issue(t, terms(2))
			out, err := w.activate(t.Context(), d.Key, device(1))
			if err != nil {
				t.Fatal(err)
			}
			later := terms(2)
			later.Type, later.Duration, later.ExpiryBasis = doc.Timed, 10*license.Day, basis
			p, err := w.licenses.CreatePolicy(staff(t.Context()), license.CreatePolicyRequest{ProductID: d.License.ProductID, Code: "timed-" + basis[6:9], Name: "Timed", Terms: later})
			if err != nil {
				t.Fatal(err)
			}
			look, err := w.licenses.LookRepolicy(staff(t.Context()), license.RepolicyLookRequest{ID: d.License.ID, Policy: p.ID})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.licenses.Repolicy(staff(t.Context()), license.RepolicyRequest{ID: d.License.ID, Policy: p.ID, Reason: "test", Version: look.Version, PolicyVersion: look.PolicyVersion}); err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(time.Hour)
			want := e.Clock.Now().Truncate(time.Second).Add(10 * 24 * time.Hour)
			lease := out.Lease
			for range 2 {
				beat, err := w.beat(t.Context(), lease)
				if err != nil {
					t.Fatal(err)
				}
				lease = beat.Lease
				l, err := w.licenses.Store.LicenseByID(t.Context(), d.License.ID)
				if err != nil || !l.ValidUntil.Equal(want) {
					t.Errorf("%s: valid until %s, want %s: %v", basis, l.ValidUntil, want, err)
				}
				e.Clock.Advance(time.Hour)
			}
		}
	})
}
