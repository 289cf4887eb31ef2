package license_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A license's view says what a product decides: not in use while no device holds a seat, expiring, in grace, expired, suspended, revoked,
// and until when anything works; to its owner as to staff.
func TestViewSaysTheDecision(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		terms := perpetual()
		terms.Type, terms.Duration, terms.ExpiryGrace, terms.Activation = doc.Timed, 100*24*3600, 24*3600, doc.ActivationNone
		w := newWorld(t, e, terms)
		l := w.issue(t, w.spec("unit/1")).License
		ada := w.as(licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"})
		expect := func(code eval.Code, allowed bool) {
			t.Helper()
			v, err := w.Get(ada, license.GetRequest{ID: l.ID})
			if err != nil || v.Decision.Code != code || v.Decision.Allowed != allowed {
				t.Errorf("%s, allowed %v, %v; want %s", v.Decision.Code, v.Decision.Allowed, err, code)
			}
			list, err := w.List(ada, license.ListRequest{})
			if err != nil || len(list.Items) != 1 || list.Items[0].Decision.Code != code {
				t.Errorf("the list says %+v, %v", list.Items, err)
			}
			if v.EndsAt == nil || v.ValidUntil == nil || v.EndsAt.Sub(*v.ValidUntil) != 24*time.Hour {
				t.Errorf("ends at %v, valid until %v", v.EndsAt, v.ValidUntil)
			}
		}
		expect(eval.Valid, true)
		if _, err := w.Suspend(w.ctx, license.StateRequest{ID: l.ID, Reason: "late"}); err != nil {
			t.Fatal(err)
		}
		expect(eval.Suspended, false)
		if _, err := w.Reinstate(w.ctx, license.StateRequest{ID: l.ID, Reason: "paid"}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(95 * 24 * time.Hour)
		expect(eval.ExpiringSoon, true)
		e.Clock.Advance(5*24*time.Hour + time.Hour)
		expect(eval.InGrace, true)
		e.Clock.Advance(24 * time.Hour)
		expect(eval.Expired, false)
		if _, err := w.Revoke(w.ctx, license.StateRequest{ID: l.ID, Reason: "refund"}); err != nil {
			t.Fatal(err)
		}
		expect(eval.Revoked, false)
	})
}

// A license that must be activated warns of it while nobody holds a seat, and stays allowed.
func TestViewSaysThatNoDeviceHoldsASeat(t *testing.T) {
	t.Parallel()
	terms := perpetual()
	terms.Activation, terms.Fresh, terms.Recheck = doc.ActivationRequired, 3600, 60
	w := newWorld(t, storetest.SQLite(t), terms)
	l := w.issue(t, w.spec("unit/1")).License
	if v, err := w.Get(w.ctx, license.GetRequest{ID: l.ID}); err != nil || v.Decision.Code != eval.ActivationRequired || !v.Decision.Allowed || v.EndsAt != nil {
		t.Errorf("%+v, %v", v, err)
	}
}
