package license_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// person makes somebody who can own things.
func (w *world) person(t *testing.T) string {
	t.Helper()
	id := w.IDs.New("cus")
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO organisation (id, name, billing_email, country, vat_id, created_at, updated_at) VALUES ($1, 'Works', '', '', '', $2, $2)`,
		"org"+id[3:], w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	return "org" + id[3:]
}

// movable are terms that a license may change hands under, twice in thirty days.
func movable(expiry string) license.Terms {
	t := timed("")
	t.Transfer = license.Transfer{Allowed: true, Expiry: expiry, Limit: 2, Period: 30 * license.Day}
	return t
}

// A license that changes hands is the new owner's alone: the old key and token are good no longer, nothing of it is the old owner's any
// more, and its end stays or its term begins anew, as the policy says.
func TestTransfer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(license.KeepExpiry))
		anew := movable(license.ResetExpiry).WithDefaults()
		spec := w.spec("line/1/2")
		spec.Terms = &anew
		keeps, resets := w.issue(t, w.spec("line/1/1")), w.issue(t, spec)
		e.Clock.Advance(10 * day)
		to := w.person(t)
		for d, want := range map[*license.Draft]time.Time{keeps: keeps.License.ValidUntil, resets: e.Clock.Now().Truncate(time.Second).Add(30 * day)} {
			v, err := w.Transfer(w.ctx, license.TransferRequest{ID: d.License.ID, To: to, Reason: "sold the company"})
			if err != nil {
				t.Fatal(err)
			}
			if v.Owner != to || !v.ValidUntil.Equal(want) || v.KeyHint == d.License.KeyHint {
				t.Errorf("%s: owner %s until %s, want %s", d.License.Terms.Transfer.Expiry, v.Owner, v.ValidUntil, want)
			}
			for _, credential := range []string{d.Key, d.License.Token.Text} {
				if a, err := w.ByCredential(w.ctx, credential); err != nil || a.License != "" {
					t.Errorf("the old owner's credential speaks for %q, %v", a.License, err)
				}
			}
			if _, err := w.Get(w.as(licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}), license.GetRequest{ID: d.License.ID}); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("the old owner still sees it: %v", err)
			}
			if _, err := w.Get(w.as(licensing.Actor{Kind: licensing.Customer, ID: "cus_bob", Owner: licensing.Owner(to)}), license.GetRequest{ID: d.License.ID}); err != nil {
				t.Errorf("the new owner does not see it: %v", err)
			}
		}
		if n := w.audited(t, "license.transfer"); n != 2 {
			t.Errorf("%d audit rows", n)
		}
	})
}

// A license changes hands as often in a period as its policy says, exactly, also when many ask at once; and not where the policy, its
// state, its end or the new owner forbid it.
func TestTransferLimitsAndRefusals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(license.KeepExpiry))
		d, to := w.issue(t, w.spec("line/1/1")), []string{w.person(t), w.person(t), w.person(t)}
		move := func(id, to string) error {
			_, err := w.Transfer(w.ctx, license.TransferRequest{ID: id, To: to, Reason: "test"})
			return err
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		moved := 0
		for i := range 12 {
			wg.Go(func() {
				for {
					err := move(d.License.ID, to[i%3])
					if errors.Is(err, license.ErrChanged) || errors.Is(err, license.ErrCollision) {
						continue
					}
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						moved++
					} else if !errors.Is(err, license.ErrTransferLimit) && !errors.Is(err, license.ErrTransferTo) {
						t.Error(err)
					}
					return
				}
			})
		}
		wg.Wait()
		if moved != 2 {
			t.Errorf("it changed hands %d times, want 2", moved)
		}
		other := w.person(t)
		if err := move(d.License.ID, other); !errors.Is(err, license.ErrTransferLimit) {
			t.Errorf("once more: %v", err)
		}
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "longer", Terms: 3}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(30 * day)
		if err := move(d.License.ID, other); err != nil {
			t.Errorf("in the next period: %v", err)
		}
		for name, id := range map[string]string{"nobody": "cus_00000000000070008000000000000000", "the owner": other} {
			if err := move(d.License.ID, id); !errors.Is(err, license.ErrTransferTo) {
				t.Errorf("to %s: %v", name, err)
			}
		}
		if _, err := w.Suspend(w.ctx, license.StateRequest{ID: d.License.ID, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := move(d.License.ID, to[0]); !errors.Is(err, license.ErrTransfer) {
			t.Errorf("while suspended: %v", err)
		}
		fixed, spec := timed("").WithDefaults(), w.spec("line/1/2")
		spec.Terms = &fixed
		if err := move(w.issue(t, spec).License.ID, to[0]); !errors.Is(err, license.ErrTransfer) {
			t.Errorf("without leave of the policy: %v", err)
		}
	})
}

// A customer and an organisation have one trial of a product each, however many of their requests come at once, and the person who asked
// for an organisation had his.
func TestTrialOncePerCustomer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		w.product(t, "editor")
		ada := licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}
		if _, err := w.StartTrial(w.as(ada), license.TrialRequest{Product: "editor"}); !errors.Is(err, license.ErrNoTrial) {
			t.Errorf("before there is a policy: %v", err)
		}
		w.offerTrial(t)
		started := w.startAtOnce(t, w.Service, 16, ada)
		if started != 1 {
			t.Errorf("%d trials, want 1", started)
		}
		works := licensing.Actor{Kind: licensing.Customer, ID: "cus_bob", Owner: "org_works", Org: "org_works"}
		if started := w.startAtOnce(t, w.Service, 8, works, licensing.Actor{Kind: licensing.Customer, ID: "cus_bob", Owner: "cus_bob"}); started != 1 {
			t.Errorf("%d trials of a person and his organisation, want 1", started)
		}
		if _, err := w.StartTrial(w.as(ada), license.TrialRequest{Product: "nothing"}); !errors.Is(err, license.ErrNoTrial) {
			t.Errorf("of nothing: %v", err)
		}
		list, err := w.List(w.ctx, license.ListRequest{})
		if err != nil || len(list.Items) != 2 || list.Items[0].Type != doc.Trial || list.Items[0].ValidUntil == nil {
			t.Errorf("%d licenses, %v", len(list.Items), err)
		}
	})
}

// startAtOnce lets each actor ask n times at once and counts the trials.
func (w *world) startAtOnce(t *testing.T, s *license.Service, n int, actors ...licensing.Actor) (started int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		ctx := w.as(actors[i%len(actors)])
		wg.Go(func() {
			_, err := s.StartTrial(ctx, license.TrialRequest{Product: "editor"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				started++
			} else if !errors.Is(err, license.ErrTrialUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return started
}

// product makes the product of the world's policies one on sale.
func (w *world) product(t *testing.T, slug string) {
	t.Helper()
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO product (id, slug, name, description, purpose, key_prefix, state, version, created_at, updated_at)
		VALUES ($1, $2, 'Editor', '', 'revenue', 'EDIT', 'active', 1, $3, $3)`, w.policy.ProductID, slug, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) offerTrial(t *testing.T) {
	t.Helper()
	if _, err := w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: license.TrialPolicy, Name: "Trial",
		Terms: license.Terms{Type: doc.Trial, Duration: 14 * license.Day}}); err != nil {
		t.Fatal(err)
	}
}
