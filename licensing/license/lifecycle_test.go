package license_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// status reads what the published list says of a token, as a product does.
func (w *world) status(t *testing.T, tok license.Token) byte {
	t.Helper()
	w.Forget() // as the change feed does
	text, err := w.StatusList(w.ctx, tok.List)
	if err != nil {
		t.Fatal(err)
	}
	keys := w.trust(t)
	list, err := (&doc.Verifier{Keys: keys, Audience: "editor", Now: w.Clock.Now}).StatusList(text, issuer+"/v1/status/1")
	if err != nil {
		t.Fatal(err)
	}
	bits, err := list.Bits()
	if err != nil {
		t.Fatal(err)
	}
	return bits.Get(tok.Index)
}

// trust is what a product that pins the root trusts.
func (w *world) trust(t *testing.T) *doc.Keys {
	t.Helper()
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
	set, err := (&doc.Verifier{Keys: pins, Now: w.Clock.Now}).Keyset(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := set.Trust()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// The published status follows the license: valid, suspended, valid again, invalid for good.
func TestJ46_StatusListFollowsTheLicense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		bystander := w.issue(t, w.spec("line/1/2"))
		r := license.StateRequest{ID: d.License.ID, Reason: "because"}
		for _, step := range []struct {
			do   func(context.Context, license.StateRequest) (license.View, error)
			want byte
		}{{w.Suspend, doc.StatusSuspended}, {w.Reinstate, doc.StatusValid}, {w.Suspend, doc.StatusSuspended}, {w.Revoke, doc.StatusInvalid}} {
			if _, err := step.do(w.ctx, r); err != nil {
				t.Fatal(err)
			}
			if got := w.status(t, d.License.Token); got != step.want {
				t.Errorf("status %d, want %d", got, step.want)
			}
		}
		for name, do := range map[string]func(context.Context, license.StateRequest) (license.View, error){"revoke": w.Revoke, "reinstate": w.Reinstate, "suspend": w.Suspend} {
			if _, err := do(w.ctx, r); !errors.Is(err, license.ErrState) {
				t.Errorf("%s a revoked license: %v", name, err)
			}
		}
		if got := w.status(t, bystander.License.Token); got != doc.StatusValid {
			t.Errorf("another license has status %d", got)
		}
		if w.audited(t, "license.suspend") != 2 || w.audited(t, "license.revoke") != 1 {
			t.Error("a change without its audit row")
		}
	})
}

// A list whose license changed on another replica is served anew once the change feed has said so, and a list that does not
// exist is not found.
func TestStatusListIsCachedUntilForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t), perpetual())
	d := w.issue(t, w.spec("line/1/1"))
	first, err := w.StatusList(w.ctx, d.License.Token.List)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(50 * time.Second)
	if again, err := w.StatusList(w.ctx, d.License.Token.List); err != nil || again != first {
		t.Errorf("signed again for nothing: %v", err)
	}
	w.Forget()
	if again, err := w.StatusList(w.ctx, d.License.Token.List); err != nil || again == first {
		t.Errorf("not signed again: %v", err)
	}
	if _, err := w.StatusList(w.ctx, 99); err != error(licensing.ErrNotFound) {
		t.Errorf("an unknown list: %v", err)
	}
}

// Re-issue gives a new key and a new token: the old ones are good no longer, also offline.
func TestReissueEndsTheOldKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		out, err := w.Reissue(w.ctx, license.StateRequest{ID: d.License.ID, Reason: "leaked"})
		if err != nil {
			t.Fatal(err)
		}
		if out.Key == d.Key || len(out.Key) != len(d.Key) {
			t.Errorf("key %q after %q", out.Key, d.Key)
		}
		for name, c := range map[string]struct{ text, want string }{
			"old key": {d.Key, ""}, "old token": {d.License.Token.Text, ""}, "new key": {out.Key, d.License.ID},
		} {
			if a, err := w.ByCredential(w.ctx, c.text); err != nil || a.License != c.want {
				t.Errorf("%s: %q, %v", name, a.License, err)
			}
		}
		if got := w.status(t, d.License.Token); got != doc.StatusInvalid {
			t.Errorf("the old token has status %d", got)
		}
		now, err := w.Token(w.ctx, license.GetRequest{ID: d.License.ID})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := w.ByCredential(w.ctx, now.Token); err != nil || a.License != d.License.ID {
			t.Errorf("new token: %+v, %v", a, err)
		}
	})
}

// Two changes at once do not overwrite one another: the second is told.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := int64(0)
		for i := range int64(8) {
			wg.Go(func() {
				seats := i + 10
				_, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "more", Seats: &seats})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !errors.Is(err, license.ErrChanged) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID})
		if err != nil || v.Version != 1+done || done == 0 {
			t.Errorf("version %d after %d changes, %v", v.Version, done, err)
		}
	})
}

// After a rotation the token is signed by the new key under the same identity and the same place in its status list.
func TestTokenResignedAfterRotation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		if _, err := w.keys.Rotate(w.ctx, keyring.RotateRequest{Reason: "yearly"}); err != nil {
			t.Fatal(err)
		}
		out, err := w.Token(w.ctx, license.GetRequest{ID: d.License.ID})
		if err != nil {
			t.Fatal(err)
		}
		if out.Token == d.License.Token.Text {
			t.Error("not signed again")
		}
		for _, text := range []string{out.Token, d.License.Token.Text} {
			got, err := w.keys.VerifyLicense(w.ctx, text)
			if err != nil || got.TokenID != d.License.Token.JTI || got.Status.List.Index != d.License.Token.Index {
				t.Errorf("token %+v, %v", got, err)
			}
		}
	})
}

// A customer reaches their own licenses and nobody else's; a holder reaches the token of its own license alone; a machine
// token stays within its product.
func TestS10_OwnershipOfLicenses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		get := license.GetRequest{ID: d.License.ID}
		for name, c := range map[string]struct {
			actor licensing.Actor
			want  error
		}{
			"owner":            {licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}, nil},
			"other customer":   {licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}, licensing.ErrNotFound},
			"nobody's owner":   {licensing.Actor{Kind: licensing.Customer, ID: "cus_eve"}, licensing.ErrNotFound},
			"anonymous":        {licensing.Actor{Kind: licensing.Anonymous}, licensing.ErrNotFound},
			"machine":          {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: d.License.ProductID}, nil},
			"machine, product": {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: "prod_other"}, licensing.ErrNotFound},
			"machine, env":     {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Env: licensing.Test}, licensing.ErrNotFound},
			"other holder":     {licensing.Actor{Kind: licensing.Holder, License: "lic_other"}, licensing.ErrNotFound},
			"empty holder":     {licensing.Actor{Kind: licensing.Holder}, licensing.ErrNotFound},
		} {
			ctx := w.as(c.actor)
			if _, err := w.Get(ctx, get); !same(err, c.want) {
				t.Errorf("%s: get: %v", name, err)
			}
			if _, err := w.Token(ctx, get); !same(err, c.want) {
				t.Errorf("%s: token: %v", name, err)
			}
			page, err := w.List(ctx, license.ListRequest{Owner: "cus_ada"})
			if err != nil || (len(page.Items) == 1) != (c.want == nil) {
				t.Errorf("%s: list of %d, %v", name, len(page.Items), err)
			}
		}
		own, err := w.RevealKey(w.as(licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}), get)
		if err != nil || own.Key != d.Key || w.audited(t, "license.reveal") != 1 {
			t.Errorf("reveal: %v", err)
		}
		if _, err := w.RevealKey(w.as(licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}), get); !same(err, licensing.ErrNotFound) {
			t.Errorf("reveal to another: %v", err)
		}
	})
}

func same(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

// A refund revokes by source inside its own transaction: once, and not at all when that transaction fails.
func TestRevokeBySource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		revoke := func(end error) (done bool, err error) {
			err = w.Store.InTx(licensing.AsSystem(w.ctx, "refund"), func(ctx context.Context) error {
				if done, err = w.RevokeBySource(ctx, d.License.Source, "refunded"); err != nil {
					return err
				}
				return end
			})
			return done, err
		}
		failed := errors.New("refund failed")
		if _, err := revoke(failed); !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID}); err != nil || v.State != "active" {
			t.Errorf("revoked by a transaction that failed: %v", err)
		}
		for _, want := range []bool{true, false} {
			if done, err := revoke(nil); err != nil || done != want {
				t.Errorf("revoked %v, %v; want %v", done, err, want)
			}
		}
		if v, err := w.Get(w.ctx, license.GetRequest{ID: d.License.ID}); err != nil || v.State != "revoked" {
			t.Errorf("state %s, %v", v.State, err)
		}
	})
}

// An end that was given to a license before its first use stays when it is used first: it is the license's own, and wins over what the policy
// would have given.
func TestChangedEndOutlastsTheFirstUse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		terms := license.Terms{Type: doc.Timed, Duration: 30 * license.Day, ExpiryBasis: license.FromFirstActivation, Seats: license.Seats{N: 1}}
		w := newWorld(t, e, terms)
		d := w.issue(t, w.spec("line/1/1"))
		end := e.Clock.Now().Add(400 * day).UTC().Truncate(time.Second)
		if _, err := w.Change(w.ctx, license.ChangeRequest{ID: d.License.ID, Reason: "a friend", ValidUntil: &end}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(day)
		now, err := w.Service.Store.LicenseByID(w.ctx, d.License.ID)
		if err != nil {
			t.Fatal(err)
		}
		started, err := w.Start(w.ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		if !started.ValidUntil.Equal(end) || started.StartedAt.IsZero() {
			t.Errorf("it ends %s, begun %s, want %s", started.ValidUntil, started.StartedAt, end)
		}
	})
}

// However long nothing changes, a list that is asked for was signed within the last minute, so that a policy which wants one of the last ten minutes
// refuses nobody whom the server answers; what it holds is not read again for it, unless this process was not told of changes.
func TestStatusListIsSignedWithinTheLastMinute(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.issue(t, w.spec("line/1/1"))
		reads, told := 0, true
		deps := w.Service.Deps
		deps.Tokens, deps.Fresh = counting{deps.Tokens, &reads}, func() bool { return told }
		s := license.New(deps)
		iat := func() int64 {
			text, err := s.StatusList(w.ctx, d.License.Token.List)
			if err != nil {
				t.Fatal(err)
			}
			list, err := (&doc.Verifier{Keys: w.trust(t), Audience: "editor", Now: w.Clock.Now}).StatusList(text, issuer+"/v1/status/1")
			if err != nil {
				t.Fatal(err)
			}
			return list.IssuedAt
		}
		for range 50 {
			e.Clock.Advance(35 * time.Second)
			if age := e.Clock.Now().Unix() - iat(); age >= 60 {
				t.Fatalf("a list that is %d seconds old is answered", age)
			}
		}
		if reads != 1 {
			t.Errorf("it was read %d times in half an hour", reads)
		}
		told = false
		iat()
		iat()
		if reads != 3 {
			t.Errorf("it was read %d times by a process that is not told of changes, want each time", reads-1)
		}
	})
}

// counting counts how often a list is read.
type counting struct {
	license.Tokens
	n *int
}

// EndedIndexes implements [license.Tokens].
func (c counting) EndedIndexes(ctx context.Context, list int64) ([]int64, bool, error) {
	*c.n++
	return c.Tokens.EndedIndexes(ctx, list)
}
