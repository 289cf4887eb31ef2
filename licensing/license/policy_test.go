package license_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Key hints and ids tell nothing of the key, whose random part has 140 bits and never repeats.
func TestS09_KeysAreNotGuessable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), perpetual())
	seen := map[string]bool{}
	places := map[int64]bool{}
	ordered := true
	last := int64(-1)
	for range 200 {
		d, err := w.Draft(w.ctx, w.spec("line/1/1"))
		if err != nil {
			t.Fatal(err)
		}
		random := d.Key[len("MINT-") : len(d.Key)-2]
		if n := len(random) - 5; n != 28 || seen[random] || places[d.License.Token.Index] {
			t.Fatalf("%d characters, or a repetition", n)
		}
		seen[random], places[d.License.Token.Index] = true, true
		ordered = ordered && d.License.Token.Index > last
		last = d.License.Token.Index
	}
	if ordered {
		t.Error("the places in the status list are in order of sale")
	}
}

// Terms that contradict themselves are refused, each with the field that does.
func TestPolicyRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), perpetual())
	for field, change := range map[string]func(*license.Terms){
		"type":     func(p *license.Terms) { p.Type = "forever" },
		"duration": func(p *license.Terms) { p.Type = doc.Timed },
		"recheck":  func(p *license.Terms) { p.Fresh, p.Recheck = 60, 60 },
		"dead_after": func(p *license.Terms) {
			p.Seats.Floating, p.Fresh, p.Stale, p.Grace, p.DeadAfter = true, 60, 60, 60, 179
		},
		"expiry_basis": func(p *license.Terms) {
			p.Type, p.Duration, p.ExpiryBasis, p.Activation = doc.Timed, 60, license.FromFirstActivation, doc.ActivationNone
		},
		"activation": func(p *license.Terms) {
			p.Type, p.Duration, p.Activation = doc.Trial, 60, doc.ActivationNone
		},
		"seats/n":         func(p *license.Terms) { p.Seats.N = -1 },
		"overage_percent": func(p *license.Terms) { p.OveragePercent = -2 },
		"over_limit":      func(p *license.Terms) { p.OverLimit = "queue" },
		"keep":            func(p *license.Terms) { p.Keep = []string{"nothing"} },
		"entitlements":    func(p *license.Terms) { p.Entitlements = license.Entitlements{"No Code": doc.On()} },
		"grace":           func(p *license.Terms) { p.Grace = -1 },
		"grace ":          func(p *license.Terms) { p.Fresh, p.Stale, p.Grace = 150*366*license.Day, 50*366*license.Day, 1 },
		"match":           func(p *license.Terms) { p.Match = 99 },
		"transfer/expiry": func(p *license.Terms) { p.Transfer = license.Transfer{Allowed: true, Expiry: "never"} },
	} {
		p := perpetual()
		change(&p)
		_, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "broken", Name: "Broken", Terms: p})
		var told *licensing.Error
		if !errors.As(err, &told) || !errors.Is(err, license.ErrPolicy) {
			t.Errorf("%s: %v", field, err)
			continue
		}
		found := false
		for _, f := range told.Fields {
			found = found || f.Name == strings.TrimSpace(field)
		}
		if !found {
			t.Errorf("%s: fields %+v", field, told.Fields)
		}
	}
	floating := perpetual()
	floating.Seats.Floating, floating.Fresh, floating.Stale, floating.Grace, floating.DeadAfter = true, 60, 60, 60, 180
	if _, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "floating", Name: "F", Terms: floating}); err != nil {
		t.Errorf("a floating policy that is exact: %v", err)
	}
	if _, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "floating", Name: "F", Terms: floating}); !errors.Is(err, license.ErrPolicyCode) {
		t.Errorf("the same code again: %v", err)
	}
}

// A changed policy is for licenses to come; one issued before keeps its terms, and a change made from an old look is refused.
func TestPolicyIsFrozenAtIssue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		before := w.issue(t, w.spec("line/1/1"))
		changed := perpetual()
		changed.Seats.N = 50
		r := license.ChangePolicyRequest{ID: w.policy.ID, Version: 1, Name: "Bigger", Terms: changed}
		if _, err := w.ChangePolicy(w.ctx, r); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ChangePolicy(w.ctx, r); !errors.Is(err, license.ErrChanged) {
			t.Errorf("from an old look: %v", err)
		}
		after := w.issue(t, w.spec("line/1/2"))
		old, err := w.Get(w.ctx, license.GetRequest{ID: before.License.ID})
		if err != nil || old.Seats != 3 || after.License.Seats != 50 {
			t.Errorf("seats %d and %d, %v", old.Seats, after.License.Seats, err)
		}
	})
}

// A timed license's token carries the commercial end and, behind the grace, the hard end that any library enforces.
func TestHardEndIsTheTokensExp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), license.Terms{Type: doc.Timed, Duration: 30 * license.Day, ExpiryGrace: 3 * license.Day})
	d := w.issue(t, w.spec("line/1/1"))
	got, err := w.keys.VerifyLicense(w.ctx, d.License.Token.Text)
	if err != nil {
		t.Fatal(err)
	}
	now := w.Clock.Now().Unix()
	if got.ValidUntil != now+30*license.Day || got.Expires != now+33*license.Day {
		t.Errorf("valid until %d, exp %d", got.ValidUntil-now, got.Expires-now)
	}
}

// heavy are features that are well formed one by one and too much for a license together.
func heavy(n int) license.Entitlements {
	e := license.Entitlements{}
	for i := range n {
		e[fmt.Sprintf("feature-%02d-%s", i, strings.Repeat("x", 50))] = doc.Text(strings.Repeat("\x01", 128))
	}
	return e
}

// What no token could carry is refused where it is written down, by its field, and not when a buyer has paid: too many features, a version
// that covers nothing, a term that ends before it began or after the calendar.
func TestNothingUnsignableIsPromised(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		p := perpetual()
		p.Type, p.Duration, p.ExpiryGrace = doc.Timed, 30*license.Day, 0
		w := newWorld(t, e, p)
		names := func(err error, kind error, field string) {
			t.Helper()
			var told *licensing.Error
			if !errors.Is(err, kind) || !errors.As(err, &told) || len(told.Fields) == 0 || !strings.HasSuffix(told.Fields[0].Name, field) {
				t.Errorf("%s: %+v", field, err)
			}
		}
		for field, change := range map[string]func(*license.Terms){
			"entitlements": func(p *license.Terms) { p.Entitlements = heavy(5) },
			"max_version":  func(p *license.Terms) { p.MaxVersion = "two point five" },
		} {
			bad := perpetual()
			change(&bad)
			_, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "broken", Name: "Broken", Terms: bad})
			names(err, license.ErrPolicy, field)
		}
		spec := w.spec("line/1/1")
		spec.Entitlements = heavy(5)
		_, err := w.Draft(w.ctx, spec)
		names(err, license.ErrSource, "entitlements")

		d := w.issue(t, w.spec("line/1/2"))
		e.Clock.Advance(10 * 24 * time.Hour)
		change := func(until time.Time, more license.Entitlements) error {
			_, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "test", ValidUntil: &until, Entitlements: more})
			return err
		}
		now := e.Clock.Now()
		names(change(now, heavy(5)), license.ErrChange, "entitlements")
		names(change(now.AddDate(0, 0, -11), nil), license.ErrChange, "valid_until")
		names(change(time.Time{}, nil), license.ErrChange, "valid_until")
		names(change(now.AddDate(8000, 0, 0), nil), license.ErrChange, "valid_until")
		if err := change(now.AddDate(0, 0, -1), nil); err != nil { // ended yesterday: an end that staff may want
			t.Errorf("an end in the past: %v", err)
		}
	})
}
