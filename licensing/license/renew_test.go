package license_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const day = 24 * time.Hour

// timed are terms of thirty days with a grace of three.
func timed(basis string) license.Terms {
	return license.Terms{Type: doc.Timed, Duration: 30 * license.Day, ExpiryGrace: 3 * license.Day, RenewalBasis: basis, Seats: license.Seats{N: 2}}
}

// A renewal adds the policy's duration to the end, to now, or to now only once the end is past, and never takes time away; the token
// says the new end and the old token is invalid.
func TestRenewByBasis(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(""))
		for i, c := range []struct {
			basis string
			after int // days after issue at which it is renewed
			terms int64
			want  int // days after issue at which it then ends
		}{
			{license.FromExpiry, 10, 0, 60}, {license.FromExpiry, 40, 0, 60}, {license.FromExpiry, 10, 3, 120},
			{license.FromNow, 10, 0, 40}, {license.FromNow, 40, 0, 70}, {license.FromNow, 0, 2, 60},
			{license.FromNowIfExpired, 10, 0, 60}, {license.FromNowIfExpired, 40, 0, 70},
		} {
			terms := timed(c.basis)
			spec := w.spec(fmt.Sprint("line/", i))
			full := terms.WithDefaults()
			spec.Terms = &full
			d := w.issue(t, spec)
			issued := d.License.CreatedAt
			e.Clock.Advance(time.Duration(c.after) * day)
			shown := w.look(t, d.License.ID, time.Time{}, max(1, c.terms))
			v, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid by transfer", Terms: c.terms})
			if err != nil {
				t.Fatal(err)
			}
			if !shown.ValidUntil.Equal(*v.ValidUntil) {
				t.Errorf("%s after %d days: was shown %s, ends %s", c.basis, c.after, shown.ValidUntil, v.ValidUntil)
			}
			if want := issued.Add(time.Duration(c.want) * day); !v.ValidUntil.Equal(want) {
				t.Errorf("%s after %d days by %d terms: ends %s, want %s", c.basis, c.after, c.terms, v.ValidUntil, want)
			}
			now, err := w.Token(w.ctx, license.GetRequest{ID: d.License.ID})
			if err != nil {
				t.Fatal(err)
			}
			claims, err := w.keys.VerifyLicense(w.ctx, now.Token)
			if err != nil || claims.ValidUntil != v.ValidUntil.Unix() || claims.Expires != v.ValidUntil.Unix()+3*license.Day {
				t.Errorf("the token says %d, exp %d: %v", claims.ValidUntil, claims.Expires, err)
			}
			if a, err := w.ByCredential(w.ctx, d.License.Token.Text); err != nil || a.License != "" {
				t.Errorf("the old token speaks for %q, %v", a.License, err)
			}
		}
		if n := w.audited(t, "license.renew"); n != 8 {
			t.Errorf("%d audit rows, want 8", n)
		}
	})
}

// look is what a renewal is said to give, at this moment, by whoever has the license's view.
func (w *world) look(t *testing.T, id string, until time.Time, terms int64) license.Ends {
	t.Helper()
	v, err := w.Get(w.ctx, license.GetRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	to, err := v.Renewed(w.Clock.Now(), until, terms)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// What is shown of a renewal before is what it does: to an instant earlier than the end, to a term that has not begun, and to the end of
// updates, which stays where it is when counting from now would bring it nearer.
func TestRenewAsShown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(""))
		waits := timed(license.FromNow)
		waits.ExpiryBasis, waits.Activation, waits.Recheck, waits.Fresh = license.FromFirstActivation, doc.ActivationRequired, license.Day, 7*license.Day
		for i, c := range []struct {
			terms license.Terms
			until time.Time
			n     int64
		}{
			{timed(license.FromNow), e.Clock.Now().Add(5 * day), 1},
			{timed(license.FromNow), e.Clock.Now().Add(500 * day), 1},
			{waits, time.Time{}, 2},
			{license.Terms{Type: doc.Perpetual, UpdatesFor: 365 * license.Day, RenewalBasis: license.FromNow, Seats: license.Seats{N: 1}}, time.Time{}, 1},
			{license.Terms{Type: doc.Perpetual, UpdatesFor: 365 * license.Day, RenewalBasis: license.FromExpiry, Seats: license.Seats{N: 1}}, time.Time{}, 3},
		} {
			full := c.terms.WithDefaults()
			spec := w.spec(fmt.Sprint("line/", i))
			spec.Terms = &full
			d := w.issue(t, spec)
			id := d.License.ID
			for range 2 { // a second renewal at the same instant, from now, moves nothing
				shown, r := w.look(t, id, c.until, c.n), license.RenewRequest{ID: id, Reason: "paid", Terms: c.n}
				if !c.until.IsZero() {
					r.Terms, r.Until = 0, &c.until
				}
				v, err := w.Renew(w.ctx, r)
				if err != nil {
					t.Fatalf("case %d: %v", i, err)
				}
				for _, pair := range []struct {
					what  string
					shown time.Time
					is    *time.Time
				}{{"end", shown.ValidUntil, v.ValidUntil}, {"end of updates", shown.UpdatesUntil, v.UpdatesUntil}, {"beginning", shown.StartedAt, v.StartedAt}} {
					if pair.shown.IsZero() != (pair.is == nil) || pair.is != nil && !pair.shown.Equal(*pair.is) {
						t.Errorf("case %d: the %s was shown as %s and is %v", i, pair.what, pair.shown, pair.is)
					}
				}
				if l, err := w.Store.Licenses().LicenseByID(w.ctx, id); err != nil || shown.TermAdded != 0 && l.TermAdded%shown.TermAdded != 0 || (shown.TermAdded == 0) != (l.TermAdded == 0) {
					t.Errorf("case %d: %d seconds more were shown, the term has %d: %v", i, shown.TermAdded, l.TermAdded, err)
				}
			}
		}
	})
}

// What pays renews once, however often and at once it is applied.
func TestRenewOncePerSource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(license.FromExpiry))
		d := w.issue(t, w.spec("line/1/1"))
		applied := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for { // as fulfilment does: draft, apply, and again when something else happened meanwhile
					r, err := w.DraftRenewal(w.ctx, license.RenewSpec{License: d.License.ID, Source: license.Source{Kind: license.RenewedByPayment, ID: "in_1"}})
					if err != nil {
						t.Error(err)
						return
					}
					var done bool
					err = w.Store.InTx(licensing.AsSystem(w.ctx, "fulfil"), func(ctx context.Context) error {
						done, err = w.ApplyRenewal(ctx, r)
						return err
					})
					if errors.Is(err, license.ErrChanged) || errors.Is(err, license.ErrCollision) {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					if done {
						applied++
					}
					return
				}
			})
		}
		wg.Wait()
		v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID})
		if err != nil || applied != 1 || !v.ValidUntil.Equal(d.License.CreatedAt.Add(60*day)) {
			t.Errorf("applied %d times, ends %s, %v", applied, v.ValidUntil, err)
		}
	})
}

// A subscription is good to the instant it is paid through and three days longer, is then suspended, and is good again when a late
// payment comes; payments out of order never take time away.
func TestSubscriptionLapsesAndRevives(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, license.Terms{Type: doc.Subscription, Seats: license.Seats{N: 1}})
		spec := w.spec("line/1/1")
		paid := e.Clock.Now().Add(30 * day)
		spec.ValidUntil = paid
		d := w.issue(t, spec)
		id := license.GetRequest{ID: d.License.ID}
		if got := d.License.HardEnd(); !got.Equal(paid.Truncate(time.Second).Add(3 * day)) {
			t.Errorf("hard end %s", got)
		}
		e.Clock.Advance(30*day + time.Hour)
		if v, err := w.Get(w.ctx, id); err != nil || !v.Decision.Allowed || !v.Decision.Has(eval.InGrace) {
			t.Errorf("past due: %+v, %v", v.Decision, err)
		}
		lapse := func(want int, state string) {
			t.Helper()
			if n, err := w.Lapse(t.Context()); err != nil || n != want {
				t.Fatalf("lapsed %d, want %d: %v", n, want, err)
			}
			if v, err := w.Get(w.ctx, id); err != nil || v.State != state {
				t.Fatalf("state %s, want %s: %v", v.State, state, err)
			}
		}
		lapse(0, "expired")
		e.Clock.Advance(3 * day)
		lapse(1, "suspended")
		lapse(0, "suspended")
		pay := func(source string, until time.Time) {
			t.Helper()
			r, err := w.DraftRenewal(w.ctx, license.RenewSpec{License: d.License.ID, Source: license.Source{Kind: license.RenewedByPayment, ID: source}, Until: until})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Store.InTx(licensing.AsSystem(w.ctx, "fulfil"), func(ctx context.Context) error {
				_, err := w.ApplyRenewal(ctx, r)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		pay("in_3", paid.Add(60*day))
		pay("in_2", paid.Add(30*day))
		v, err := w.Get(w.ctx, id)
		if err != nil || v.State != "active" || !v.Decision.Allowed || !v.ValidUntil.Equal(paid.Add(60*day).Truncate(time.Second)) {
			t.Errorf("after the payment: %s until %s, %+v, %v", v.State, v.ValidUntil, v.Decision, err)
		}
	})
}

// A license whose policy revokes on expiry is revoked at its end for good, one that restricts, maintains or allows stays as it is; a
// renewal in time is not overtaken by the job.
func TestLapseByExpiredRule(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(""))
		ids := map[string]string{}
		for _, rule := range []string{doc.ExpiredRestrict, doc.ExpiredRevoke, doc.ExpiredMaintain, doc.ExpiredAllow, "renewed"} {
			terms := timed("")
			if terms.Expired = rule; rule == "renewed" {
				terms.Expired = doc.ExpiredRevoke
			}
			full := terms.WithDefaults()
			spec := w.spec("line/" + rule)
			spec.Terms = &full
			ids[rule] = w.issue(t, spec).License.ID
		}
		e.Clock.Advance(34 * day)
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: ids["renewed"], Reason: "late"}); err != nil {
			t.Fatal(err)
		}
		if n, err := w.Lapse(t.Context()); err != nil || n != 1 {
			t.Fatalf("lapsed %d: %v", n, err)
		}
		for rule, want := range map[string]struct {
			state   string
			allowed bool
			code    eval.Code
		}{
			doc.ExpiredRestrict: {"expired", false, eval.Expired}, doc.ExpiredRevoke: {"revoked", false, eval.Revoked},
			doc.ExpiredMaintain: {"expired", true, eval.Expired}, doc.ExpiredAllow: {"expired", true, eval.Expired}, "renewed": {"active", true, ""},
		} {
			v, err := w.Get(w.ctx, license.GetRequest{ID: ids[rule]})
			if err != nil || v.State != want.state || v.Decision.Allowed != want.allowed || want.code != "" && v.Decision.Code != want.code {
				t.Errorf("%s: %s, allowed %t, %s: %v", rule, v.State, v.Decision.Allowed, v.Decision.Code, err)
			}
		}
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: ids[doc.ExpiredRevoke], Reason: "too late"}); !errors.Is(err, license.ErrRenew) {
			t.Errorf("renewing a tombstone: %v", err)
		}
	})
}

// A perpetual license renews its updates, one without an end of anything is refused, and a term that has not begun grows by what was
// paid ahead.
func TestRenewWithoutARunningTerm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		issue := func(source string, terms license.Terms) *license.Draft {
			full, spec := terms.WithDefaults(), w.spec(source)
			spec.Terms = &full
			return w.issue(t, spec)
		}
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: issue("a", perpetual()).License.ID, Reason: "?"}); !errors.Is(err, license.ErrRenew) {
			t.Errorf("nothing to renew: %v", err)
		}
		terms := perpetual()
		terms.UpdatesFor = 365 * license.Day
		d := issue("b", terms)
		if v, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "second year"}); err != nil || !v.UpdatesUntil.Equal(d.License.CreatedAt.Add(730*day)) || v.ValidUntil != nil {
			t.Errorf("updates until %v, %v", v.UpdatesUntil, err)
		}
		terms = timed("")
		terms.ExpiryBasis = license.FromFirstActivation
		d = issue("c", terms)
		if v, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid ahead"}); err != nil || v.ValidUntil != nil || v.StartedAt != nil {
			t.Errorf("before it began: %+v, %v", v, err)
		}
		l, err := w.Store.Licenses().LicenseByID(w.ctx, d.License.ID)
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(day)
		if l, err = w.Start(w.ctx, l); err != nil || !l.ValidUntil.Equal(e.Clock.Now().Add(60*day).Truncate(time.Second)) {
			t.Errorf("it began and ends %s, %v", l.ValidUntil, err)
		}
	})
}

// Terms of many years add up beyond what a length of time holds in nanoseconds, 292 years, and give what they say; what is beyond the calendar is
// refused, also of a term that has not begun.
func TestRenewByCenturies(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e, timed(""))
	terms := timed("").WithDefaults()
	terms.Duration, terms.UpdatesFor = 36500*license.Day, 36500*license.Day
	waits := terms
	waits.ExpiryBasis = license.FromFirstActivation
	for i, c := range []license.Terms{terms, waits} {
		spec := w.spec(fmt.Sprint("line/", i))
		spec.Terms = &c
		d := w.issue(t, spec)
		v, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "test", Terms: 4})
		if err != nil {
			t.Fatal(err)
		}
		l := d.License
		if c.ExpiryBasis == license.FromFirstActivation {
			if l, err = e.Store.Licenses().LicenseByID(w.ctx, l.ID); err == nil {
				l, err = w.Start(w.ctx, l)
			}
			if err != nil {
				t.Fatal(err)
			}
			v.ValidUntil = &l.ValidUntil
		}
		year, month, day := l.StartedAt.Date()
		if want := time.Date(year, month, day+5*36500, 0, 0, 0, 0, time.UTC); v.ValidUntil.Truncate(24*time.Hour) != want || v.UpdatesUntil.Truncate(24*time.Hour) != want {
			t.Errorf("valid until %s, updates until %s, want %s", v.ValidUntil, v.UpdatesUntil, want)
		}
	}
	for i, c := range []license.Terms{terms, waits} {
		spec := w.spec(fmt.Sprint("long/", i))
		spec.Terms = &c
		d := w.issue(t, spec)
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "test", Terms: 100}); !errors.Is(err, license.ErrRenewForm) {
			t.Errorf("ten thousand years: %v", err)
		}
	}
}
