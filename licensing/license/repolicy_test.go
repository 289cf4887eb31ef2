package license_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// names are those of changes.
func names(changes []license.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Name)
	}
	return out
}

// A license goes over to a policy as it is now only when told, after a look that names each difference; what was said of the license
// alone stays, and a look that is old refuses.
func TestRepolicyByPreview(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		if _, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "a friend", Entitlements: license.Entitlements{"projects": doc.Int(77)}, Remove: []string{"tier"}}); err != nil {
			t.Fatal(err)
		}
		look := func() license.RepolicyView {
			t.Helper()
			v, err := w.LookRepolicy(w.ctx, license.RepolicyLookRequest{ID: d.License.ID})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := look(); len(v.Changes) != 0 {
			t.Errorf("nothing was changed in the policy, and %+v", v.Changes)
		}
		bigger := perpetual()
		bigger.Seats.N, bigger.Match, bigger.Entitlements = 9, 3, license.Entitlements{"export": doc.On(), "projects": doc.Int(20), "tier": doc.Text("gold"), "sync": doc.On()}
		if _, err := w.ChangePolicy(w.ctx, license.ChangePolicyRequest{ID: w.policy.ID, Version: 1, Name: "Bigger", Terms: bigger}); err != nil {
			t.Fatal(err)
		}
		seen := look()
		if got, want := names(seen.Changes), []string{"entitlements/sync", "seats", "seats_max", "terms/match", "terms/seats/n"}; !slices.Equal(got, want) {
			t.Errorf("changes %v, want %v", got, want)
		}
		r := license.RepolicyRequest{ID: d.License.ID, Version: seen.Version, PolicyVersion: seen.PolicyVersion, Reason: "the new edition"}
		old := r
		old.PolicyVersion--
		if _, err := w.Repolicy(w.ctx, old); err == nil {
			t.Error("a look at an older policy was good enough")
		}
		v, err := w.Repolicy(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := v.Entitlements["projects"].Int(); v.Seats != 9 || n != 77 || !v.Entitlements["sync"].IsOn() || v.Terms.Match != 3 {
			t.Errorf("it became %+v", v)
		}
		if _, has := v.Entitlements["tier"]; has {
			t.Error("a feature that was taken away came back")
		}
		if _, err := w.Repolicy(w.ctx, r); !errors.Is(err, license.ErrChanged) {
			t.Errorf("from an old look: %v", err)
		}
		if a, err := w.ByCredential(w.ctx, d.Key); err != nil || a.License != d.License.ID {
			t.Errorf("the key: %+v, %v", a, err)
		}
		if n := w.audited(t, "license.repolicy"); n != 1 {
			t.Errorf("%d audit rows", n)
		}
	})
}

// The term follows the kind of policy: paid time goes on under another timed policy, ends mattering under a perpetual one, and begins
// where there was none; a policy of another product and a subscription nobody paid are refused.
func TestRepolicyTerm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(""))
		policy := func(product, code string, terms license.Terms) license.PolicyView {
			t.Helper()
			p, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: product, Code: code, Name: code, Terms: terms})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		long := timed("")
		long.Duration = 365 * license.Day
		ever, year := policy(w.policy.ProductID, "ever", perpetual()), policy(w.policy.ProductID, "year", long)
		sub := policy(w.policy.ProductID, "sub", license.Terms{Type: doc.Subscription})
		foreign := policy(e.IDs.New("prod"), "other", perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		over := func(p license.PolicyView) (license.View, error) {
			look, err := w.LookRepolicy(w.ctx, license.RepolicyLookRequest{ID: d.License.ID, Policy: p.ID})
			if err != nil {
				return license.View{}, err
			}
			return w.Repolicy(w.ctx, license.RepolicyRequest{ID: d.License.ID, Policy: p.ID, Version: look.Version, PolicyVersion: look.PolicyVersion, Reason: "test"})
		}
		end := d.License.ValidUntil
		if v, err := over(year); err != nil || !v.ValidUntil.Equal(end) || v.Policy != year.ID {
			t.Errorf("another timed policy: until %v, %v", v.ValidUntil, err)
		}
		if v, err := over(ever); err != nil || v.ValidUntil != nil || v.EndsAt != nil {
			t.Errorf("a perpetual policy: until %v, %v", v.ValidUntil, err)
		}
		if _, err := over(sub); !errors.Is(err, license.ErrRepolicy) {
			t.Errorf("an unpaid subscription: %v", err)
		}
		e.Clock.Advance(100 * day)
		if v, err := over(year); err != nil || !v.ValidUntil.Equal(e.Clock.Now().Truncate(time.Second).Add(365*day)) {
			t.Errorf("a term where there was none: until %v, %v", v.ValidUntil, err)
		}
		if _, err := over(foreign); !errors.Is(err, license.ErrRepolicy) {
			t.Errorf("a policy of another product: %v", err)
		}
		if _, err := over(license.PolicyView{ID: "pol_00000000000070008000000000000000"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("a policy of nothing: %v", err)
		}
	})
}

// A feature ends by itself where the policy or staff say so, and not when its end is taken away; a meter's quota is told as a number and
// holds what is asked for, and shares its code with no feature.
func TestEndsAndMeters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		terms := perpetual()
		terms.Meters = map[string]license.Meter{"renders": {Quota: 100, Period: "month"}}
		terms.EntitledFor = map[string]int64{"export": 10 * license.Day}
		w := newWorld(t, e, terms)
		d := w.issue(t, w.spec("line/1/1"))
		claims := func() *doc.License {
			t.Helper()
			text, err := w.Token(w.ctx, license.GetRequest{ID: d.License.ID})
			if err != nil {
				t.Fatal(err)
			}
			c, err := w.keys.VerifyLicense(w.ctx, text.Token)
			if err != nil {
				t.Fatal(err)
			}
			c.Pol.Activation, c.Pol.Status = doc.ActivationNone, doc.StatusOff
			return c
		}
		ask := func(feature string, n int64) eval.Code {
			t.Helper()
			return eval.Evaluate(eval.Input{License: claims(), Now: e.Clock.Now().Unix(), Request: eval.Request{Product: "editor", Entitlement: feature, N: n}}).Code
		}
		for _, c := range []struct {
			feature string
			n       int64
			want    eval.Code
		}{{"renders", 100, eval.Valid}, {"renders", 101, eval.QuotaExceeded}, {"export", 0, eval.Valid}, {"nothing", 0, eval.EntitlementMissing}} {
			if got := ask(c.feature, c.n); got != c.want {
				t.Errorf("%d of %s: %s, want %s", c.n, c.feature, got, c.want)
			}
		}
		change := func(r license.ChangeRequest) error {
			r.ID, r.Reason = d.License.ID, "test"
			_, err := w.Change(w.ctx, r)
			return err
		}
		soon := e.Clock.Now().Add(2 * day)
		if err := change(license.ChangeRequest{EntUntil: map[string]time.Time{"projects": soon}}); err != nil {
			t.Fatal(err)
		}
		if v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID}); err != nil || !v.EntUntil["projects"].Equal(soon.Truncate(time.Second)) || v.EntUntil["export"].IsZero() || v.Terms.Meters["renders"].Quota != 100 {
			t.Errorf("%+v, %v", v, err)
		}
		e.Clock.Advance(11 * day)
		if a, b := ask("projects", 1), ask("export", 0); a != eval.EntitlementExpired || b != eval.EntitlementExpired {
			t.Errorf("past their ends: %s, %s", a, b)
		}
		if err := change(license.ChangeRequest{Endless: []string{"export"}}); err != nil {
			t.Fatal(err)
		}
		if got := ask("export", 0); got != eval.Valid {
			t.Errorf("its end taken away: %s", got)
		}
		blank := " "
		for name, r := range map[string]license.ChangeRequest{"an end of nothing": {EntUntil: map[string]time.Time{"nothing": soon}},
			"a feature with the code of a meter": {Entitlements: license.Entitlements{"renders": doc.On()}}, "a newest version that is none": {MaxVersion: &blank}} {
			if err := change(r); !errors.Is(err, license.ErrChange) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// What was said of a license alone stays under another policy where it still makes sense: its newest version until it is that of the policy, and an
// end of updates that was set or renewed. What goes away is told before.
func TestRepolicyKeepsOverrides(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		terms := perpetual()
		terms.MaxVersion, terms.UpdatesFor = "2", 100*license.Day
		w := newWorld(t, e, terms)
		d, plain := w.issue(t, w.spec("line/1/1")), w.issue(t, w.spec("line/1/2"))
		text, updates := "3.5", e.Clock.Now().Truncate(time.Second).Add(500*day)
		if _, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "a friend", MaxVersion: &text, UpdatesUntil: &updates, EntUntil: map[string]time.Time{"export": updates}}); err != nil {
			t.Fatal(err)
		}
		over := func(id string, version int64, change func(*license.Terms)) (license.View, license.RepolicyView) {
			t.Helper()
			next := terms
			change(&next)
			if _, err := w.ChangePolicy(w.ctx, license.ChangePolicyRequest{ID: w.policy.ID, Version: version, Name: "Next", Terms: next}); err != nil {
				t.Fatal(err)
			}
			look, err := w.LookRepolicy(w.ctx, license.RepolicyLookRequest{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			v, err := w.Repolicy(w.ctx, license.RepolicyRequest{ID: id, Version: look.Version, PolicyVersion: look.PolicyVersion, Reason: "test"})
			if err != nil {
				t.Fatal(err)
			}
			return v, look
		}
		fourth := func(p *license.Terms) { p.MaxVersion, p.UpdatesFor = "4", 200*license.Day }
		if v, look := over(d.License.ID, 1, fourth); v.Terms.MaxVersion != text || !v.UpdatesUntil.Equal(updates) || slices.Contains(names(look.Changes), "terms/max_version") {
			t.Errorf("version %s, updates until %v, %+v", v.Terms.MaxVersion, v.UpdatesUntil, look.Changes)
		}
		if v, _ := over(plain.License.ID, 2, fourth); v.Terms.MaxVersion != "4" || !v.UpdatesUntil.Equal(plain.License.CreatedAt.Truncate(time.Second).Add(200*day)) {
			t.Errorf("nothing was said of it alone: version %s, updates until %v", v.Terms.MaxVersion, v.UpdatesUntil)
		}
		v, look := over(d.License.ID, 3, func(p *license.Terms) {
			p.MaxVersion, p.UpdatesFor, p.Entitlements = text, 0, license.Entitlements{"tier": doc.Text("gold")}
		})
		if v.Terms.MaxVersion != text || v.UpdatesUntil != nil || len(look.Notices) != 2 || look.Notices[0].Code != "override-dropped" {
			t.Errorf("version %s, updates until %v, %+v", v.Terms.MaxVersion, v.UpdatesUntil, look.Notices)
		}
		if v, _ = over(d.License.ID, 4, fourth); v.Terms.MaxVersion != "4" {
			t.Errorf("version %s after it had been the policy's", v.Terms.MaxVersion)
		}
		none := ""
		if v, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "every version", MaxVersion: &none}); err != nil || v.Terms.MaxVersion != "" {
			t.Fatalf("%s, %v", v.Terms.MaxVersion, err)
		}
		if v, _ = over(d.License.ID, 5, func(p *license.Terms) { p.MaxVersion = "5" }); v.Terms.MaxVersion != "" {
			t.Errorf("version %s where every version was said", v.Terms.MaxVersion)
		}
	})
}
