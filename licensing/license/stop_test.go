package license_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// dispute begins or ends a dispute of the payment of a license.
func (w *world) dispute(t *testing.T, source license.Source, on bool) (done bool) {
	t.Helper()
	err := w.Store.InTx(licensing.AsSystem(w.ctx, "fulfil"), func(ctx context.Context) (err error) {
		do := w.ReinstateBySource
		if on {
			do = w.SuspendBySource
		}
		done, err = do(ctx, source, "order ord_1: the payment is disputed")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// Staff and a dispute suspend a license apart: whichever ends first, the license stays suspended until the other has ended too, and says by whom; a
// dispute cannot be ended by hand, and what is so already is not done twice.
func TestStaffAndDisputeSuspendApart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		for n, step := range map[string][]string{
			"the dispute ends first":         {"suspend", "dispute", "end", "reinstate"},
			"staff end first":                {"suspend", "dispute", "reinstate", "end"},
			"disputed first, and ends first": {"dispute", "suspend", "end", "reinstate"},
			"disputed first, and ends last":  {"dispute", "suspend", "reinstate", "end"},
		} {
			d := w.issue(t, w.spec("line/"+n))
			held, disputed := false, false
			ask := license.StateRequest{ID: d.License.ID, Reason: "she shouted"}
			for i, what := range step {
				var err error
				switch what {
				case "suspend":
					_, err = w.Suspend(w.ctx, ask)
					held = true
				case "reinstate":
					_, err = w.Reinstate(w.ctx, ask)
					held = false
				default:
					if !w.dispute(t, d.License.Source, what == "dispute") || w.dispute(t, d.License.Source, what == "dispute") {
						t.Errorf("%s: step %d was not done exactly once", n, i)
					}
					disputed = what == "dispute"
				}
				if err != nil {
					t.Fatalf("%s: step %d: %v", n, i, err)
				}
				v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID})
				if err != nil {
					t.Fatal(err)
				}
				state, bit, reason := "active", doc.StatusValid, v.Reason
				if held || disputed {
					state, bit, reason = "suspended", doc.StatusSuspended, map[bool]string{true: "she shouted", false: "order ord_1: the payment is disputed"}[held]
				}
				if v.State != state || (v.HeldAt != nil) != held || (v.DisputedAt != nil) != disputed || v.LapsedAt != nil || v.Reason != reason || v.Decision.Allowed != (state == "active") {
					t.Errorf("%s: after step %d: %s because %q, held %v, disputed %v", n, i, v.State, v.Reason, v.HeldAt, v.DisputedAt)
				}
				if got := w.status(t, d.License.Token); got != bit {
					t.Errorf("%s: after step %d the list says %d, want %d", n, i, got, bit)
				}
				if _, err := w.Suspend(w.ctx, ask); held && !errors.Is(err, license.ErrState) {
					t.Errorf("%s: suspended twice: %v", n, err)
				} else if !held {
					if _, err := w.Reinstate(w.ctx, ask); err != nil {
						t.Errorf("%s: %v", n, err)
					}
				}
				if _, err := w.Reinstate(w.ctx, ask); !held && disputed && !errors.Is(err, license.ErrDisputed) || !held && !disputed && !errors.Is(err, license.ErrState) {
					t.Errorf("%s: a dispute, or nothing, was ended by hand: %v", n, err)
				} else if held {
					if _, err := w.Suspend(w.ctx, ask); err != nil {
						t.Errorf("%s: %v", n, err)
					}
				}
			}
		}
		if found, err := w.Store.LicenseViolations(t.Context(), e.Clock.Now()); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

// lapsed is a world with a subscription whose term was over ten days ago, and what says whether it is in a state, and what suspends it.
func lapsed(t *testing.T, e storetest.Env) (w *world, d *license.Draft, state func(what, want string, lapsed, held, disputed bool)) {
	t.Helper()
	w = newWorld(t, e, license.Terms{Type: doc.Subscription, Duration: 30 * license.Day, Seats: license.Seats{N: 1}})
	spec := w.spec("line/1/1")
	spec.ValidUntil = e.Clock.Now().Add(30 * day)
	d = w.issue(t, spec)
	id := d.License.ID
	e.Clock.Advance(40 * day)
	if n, err := w.Lapse(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d lapsed, %v", n, err)
	}
	state = func(what, want string, lapsed, held, disputed bool) {
		t.Helper()
		v, err := w.Get(w.ctx, license.GetRequest{ID: id})
		if err != nil || v.State != want || (v.LapsedAt != nil) != lapsed || (v.HeldAt != nil) != held || (v.DisputedAt != nil) != disputed {
			t.Errorf("%s: %s because %q, %v, %v, %v, %v", what, v.State, v.Reason, v.LapsedAt, v.HeldAt, v.DisputedAt, err)
		}
	}
	return w, d, state
}

// A renewal ends the suspension at the end of a term, and neither that of staff nor that of a dispute; the end of a dispute leaves a license whose
// term is over suspended.
func TestRenewalEndsItsOwnSuspensionAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w, d, state := lapsed(t, e)
		id := d.License.ID
		state("lapsed", "suspended", true, false, false)
		w.dispute(t, d.License.Source, true)
		if _, err := w.Suspend(w.ctx, license.StateRequest{ID: id, Reason: license.ReasonExpired}); err != nil { // a reason decides nothing
			t.Fatal(err)
		}
		state("lapsed, disputed and held", "suspended", true, true, true)
		until := e.Clock.Now().Add(60 * day)
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: id, Reason: "paid", Until: &until}); err != nil {
			t.Fatal(err)
		}
		state("renewed", "suspended", false, true, true)
		w.dispute(t, d.License.Source, false)
		state("the dispute ended", "suspended", false, true, false)
		if _, err := w.Reinstate(w.ctx, license.StateRequest{ID: id, Reason: "settled"}); err != nil {
			t.Fatal(err)
		}
		state("reinstated", "active", false, false, false)
		if found, err := w.Store.LicenseViolations(t.Context(), e.Clock.Now()); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

// An end that staff move ahead lifts the suspension of a subscription whose term was over, as a renewal does, whether they override it, extend
// many or put it under other terms; neither that of staff nor that of a dispute, and not while the end stays where it was or is over still.
func TestLaterEndLiftsTheLapseAlone(t *testing.T) {
	t.Parallel()
	ways := map[string]func(t *testing.T, w *world, id string) error{
		"overridden": func(_ *testing.T, w *world, id string) error {
			until := w.Clock.Now().Add(30 * day)
			_, err := w.Change(w.ctx, license.ChangeRequest{ID: id, Reason: "goodwill", ValidUntil: &until})
			return err
		},
		"extended": func(_ *testing.T, w *world, id string) error {
			commit, err := w.PrepareExtension(w.ctx, id, 30, "outage")
			if err != nil {
				return err
			}
			return w.Store.InTx(w.ctx, func(ctx context.Context) error {
				_, err := commit(ctx)
				return err
			})
		},
		"under other terms": func(t *testing.T, w *world, id string) error {
			p, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "forever", Name: "For ever", Terms: license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 1}}})
			if err != nil {
				return err
			}
			look, err := w.LookRepolicy(w.ctx, license.RepolicyLookRequest{ID: id, Policy: p.ID})
			if err != nil {
				return err
			}
			_, err = w.Repolicy(w.ctx, license.RepolicyRequest{ID: id, Policy: p.ID, Version: look.Version, PolicyVersion: look.PolicyVersion, Reason: "sold anew"})
			return err
		},
	}
	for name, lengthen := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				w, d, state := lapsed(t, e)
				id := d.License.ID
				seats, over := int64(3), e.Clock.Now().Add(-9*day)
				for what, r := range map[string]license.ChangeRequest{"more seats": {Seats: &seats}, "an end that is over too": {ValidUntil: &over}} {
					r.ID, r.Reason = id, what
					if _, err := w.Change(w.ctx, r); err != nil {
						t.Fatal(err)
					}
					state(what, "suspended", true, false, false)
				}
				w.dispute(t, d.License.Source, true)
				if _, err := w.Suspend(w.ctx, license.StateRequest{ID: id, Reason: "abuse"}); err != nil {
					t.Fatal(err)
				}
				if err := lengthen(t, w, id); err != nil {
					t.Fatal(err)
				}
				state(name, "suspended", false, true, true)
				w.dispute(t, d.License.Source, false)
				if _, err := w.Reinstate(w.ctx, license.StateRequest{ID: id, Reason: "settled"}); err != nil {
					t.Fatal(err)
				}
				state("nothing suspends it any more", "active", false, false, false)
				if n, err := w.Lapse(t.Context()); err != nil || n != 0 {
					t.Errorf("%d lapsed, %v", n, err)
				}
				if found, err := w.Store.LicenseViolations(t.Context(), e.Clock.Now()); err != nil || len(found) > 0 {
					t.Errorf("%v, %v", found, err)
				}
			})
		})
	}
}
