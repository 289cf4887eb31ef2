package license_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// An issued license can be found by its key and by its token, and its token verifies offline under a keyset that a pinned root
// signed.
func TestIssuedLicenseVerifiesOffline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))

		roots, err := w.keys.Roots(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		root, err := doc.ParsePublicKey(roots[0])
		if err != nil {
			t.Fatal(err)
		}
		pins, err := doc.PinRoots(root)
		if err != nil {
			t.Fatal(err)
		}
		text, err := w.keys.Keyset(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		set, err := (&doc.Verifier{Keys: pins, Now: e.Clock.Now}).Keyset(text, 0)
		if err != nil {
			t.Fatal(err)
		}
		trust, err := set.Trust()
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&doc.Verifier{Keys: trust, Audience: "editor", Now: e.Clock.Now}).License(d.License.Token.Text)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != d.License.ID || got.Seats.N != 3 || !got.Ent["export"].IsOn() || got.Customer != "cus_ada" || got.Expires != 0 {
			t.Errorf("token says %+v", got)
		}
		for _, credential := range []string{d.Key, d.License.Token.Text} {
			a, err := w.ByCredential(w.ctx, credential)
			if err != nil || a.License != d.License.ID || a.Owner != "cus_ada" {
				t.Errorf("ByCredential: %+v, %v", a, err)
			}
		}
	})
}

// A source has one license, however often and however many at once issue for it, and each other call learns that it did
// not.
func TestIssueOncePerSource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		var wg sync.WaitGroup
		var mu sync.Mutex
		issued := 0
		for range 16 {
			wg.Go(func() {
				d, err := w.Draft(w.ctx, w.spec("line/1/1"))
				if err != nil {
					t.Error(err)
					return
				}
				ok, err := w.store(d)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					issued++
				}
			})
		}
		wg.Wait()
		page, err := w.List(w.ctx, license.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if issued != 1 || len(page.Items) != 1 || w.audited(t, "license.issue") != 1 {
			t.Errorf("issued %d times, %d licenses, %d audit rows", issued, len(page.Items), w.audited(t, "license.issue"))
		}
	})
}

// While licensing is switched off nothing is drafted; the refusal says that it is temporary.
func TestDraftRefusedWhileSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), perpetual())
	w.killed.Set(true)
	if _, err := w.Draft(w.ctx, w.spec("line/1/1")); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("got %v", err)
	}
}

// Overrides win over the policy, and a spec without source, owner or environment is refused.
func TestDraftOverridesAndForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), perpetual())
	spec := w.spec("line/1/1")
	seats := int64(9)
	spec.Seats, spec.Entitlements = &seats, license.Entitlements{"projects": doc.Int(99)}
	d, err := w.Draft(w.ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := d.License.Entitlements["projects"].Int(); n != 99 || d.License.SeatsMax != 9 || !d.License.Entitlements["export"].IsOn() {
		t.Errorf("got %+v", d.License)
	}
	for name, broken := range map[string]func(*license.IssueSpec){
		"source": func(s *license.IssueSpec) { s.Source.ID = "" },
		"kind":   func(s *license.IssueSpec) { s.Source.Kind = "gift" },
		"owner":  func(s *license.IssueSpec) { s.Owner = "" },
		"env":    func(s *license.IssueSpec) { s.Env = "staging" },
	} {
		spec := w.spec("line/1/2")
		broken(&spec)
		if _, err := w.Draft(w.ctx, spec); !errors.Is(err, license.ErrSource) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
