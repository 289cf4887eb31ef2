package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const issuer = "https://licenses.example.com"

// newRing makes a key ring over a database, as one process would, under the master key of that fill.
func newRing(t testing.TB, e storetest.Env, fill byte) *keyring.Service {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: e.Store,
		Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})})
}

func founded(t testing.TB, e storetest.Env) *keyring.Service {
	t.Helper()
	k := newRing(t, e, 7)
	if err := k.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	return k
}

func staff(ctx context.Context) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "keyring.rotate", Mutating: true,
		Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleAdmin}})
}

// states counts signing keys by state and demands exactly one active one that can be used.
func states(t *testing.T, k *keyring.Service) map[string]int {
	t.Helper()
	list, err := k.List(t.Context(), keyring.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range list.Keys {
		if e.Role == string(keyring.Signing) {
			out[e.State]++
		}
	}
	if out["active"] != 1 {
		t.Errorf("%d active keys, want 1", out["active"])
	}
	if _, _, err := k.SignLicense(t.Context(), sample("tok_1", 1772366400)); err != nil {
		t.Errorf("the active key does not sign: %v", err)
	}
	return out
}

// sample is a license token's claims.
func sample(jti string, iat int64) *doc.License {
	return &doc.License{
		Issuer: issuer, Audience: "editor", ID: "lic_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", TokenID: jti, IssuedAt: iat, NotBefore: iat,
		Expires: iat + 3600, Env: doc.EnvLive, Type: doc.Timed, Plan: "pro", Customer: "cus_ada", ValidUntil: iat + 1800,
		Seats: doc.Seats{N: 3, By: doc.ByDevice}, Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(10), "tier": doc.Text("gold")},
		Pol: doc.Policy{Expired: doc.ExpiredRestrict, ExpiryGrace: 1800, Activation: doc.ActivationRequired, Match: 2, Recheck: 60, Fresh: 600,
			Stale: 600, Grace: 600, Then: doc.ThenStop, Status: doc.StatusWarn, StatusMaxAge: 86400},
		Status: doc.StatusClaim{List: doc.StatusRef{Index: 17, URI: issuer + "/v1/status/1"}},
	}
}

// Of many processes that start first at once, one makes the keys and all go on with them; the issuer stays what it was.
func TestFoundedOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		var wg sync.WaitGroup
		rings := make([]*keyring.Service, 8)
		for i := range rings {
			rings[i] = newRing(t, e, 7)
			wg.Go(func() {
				if err := rings[i].Ensure(t.Context(), issuer); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		first, err := rings[0].Roots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range rings {
			if roots, err := k.Roots(t.Context()); err != nil || len(roots) != 1 || roots[0] != first[0] {
				t.Errorf("roots %v, %v", roots, err)
			}
		}
		if got := states(t, rings[0]); got["standby"] != 2 {
			t.Errorf("keys %v", got)
		}
		later := newRing(t, e, 7)
		if err := later.Ensure(t.Context(), "https://elsewhere.example.com"); err != nil || later.Issuer() != issuer {
			t.Errorf("issuer %q, %v", later.Issuer(), err)
		}
	})
}

// A wrong master key refuses to start, and changes nothing.
func TestK08_WrongMasterKeyRefusesToStart(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k := founded(t, e)
	if err := newRing(t, e, 8).Ensure(t.Context(), issuer); err == nil {
		t.Error("started with another master key")
	}
	states(t, k)
}

// A rotation that is interrupted after any of its statements leaves exactly one active key that signs, and can be done
// again.
func TestK06_OneActiveKeyAfterEveryInterruption(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k := founded(t, e)
		crash := errors.New("crash")
		for after := 1; after <= 3; after++ {
			// The transaction ends, as by a crash, when the store's work is done but nothing is committed: after the
			// keys moved, after the audit row, and in a savepoint of a caller that fails.
			deps := k.Deps
			deps.Tx = failing{e.Store, crash, after}
			broken := keyring.New(deps)
			if err := broken.Ensure(t.Context(), issuer); err != nil {
				t.Fatal(err)
			}
			if _, err := broken.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "drill"}); !errors.Is(err, crash) {
				t.Fatalf("rotate: %v", err)
			}
			if got := states(t, newRingStarted(t, e)); got["standby"] != 2 || got["retired"] != 0 {
				t.Errorf("after interruption %d: %v", after, got)
			}
		}
		if _, err := k.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "drill"}); err != nil {
			t.Fatal(err)
		}
		if got := states(t, newRingStarted(t, e)); got["standby"] != 2 || got["retired"] != 1 {
			t.Errorf("after rotation: %v", got)
		}
	})
}

func newRingStarted(t *testing.T, e storetest.Env) *keyring.Service {
	t.Helper()
	k := newRing(t, e, 7)
	if err := k.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	return k
}

// failing ends every transaction with an error after its work.
type failing struct {
	licensing.Transactor
	err   error
	depth int
}

func (f failing) InTx(ctx context.Context, fn func(context.Context) error) error {
	return f.Transactor.InTx(ctx, func(ctx context.Context) error {
		if f.depth > 1 {
			return failing{f.Transactor, f.err, f.depth - 1}.InTx(ctx, fn)
		}
		if err := fn(ctx); err != nil {
			return err
		}
		return f.err
	})
}

// Rotations at once: each one that succeeds moved one key, the others are told, and one key is active at the end.
func TestRotateAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		a := founded(t, e)
		b := newRingStarted(t, e)
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for i := range 6 {
			k := []*keyring.Service{a, b}[i%2]
			wg.Go(func() {
				_, err := k.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "drill"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !errors.Is(err, keyring.ErrRotated) && !errors.Is(err, keyring.ErrTooNew) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := states(t, newRingStarted(t, e)); got["retired"] != done || done == 0 {
			t.Errorf("%d rotations, keys %v", done, got)
		}
	})
}

// What a retired key signed stays good until it ends; nothing new is signed by it; and a product that knew only the keyset from
// before the rotation takes what the new key signs.
func TestJ48_RetiredKeyVerifiesAndSignsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k := founded(t, e)
		before := trust(t, k, e, 0)
		old, oldKID, err := k.SignLicense(t.Context(), sample("tok_1", e.Clock.Now().Unix()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "yearly"}); err != nil {
			t.Fatal(err)
		}
		next, nextKID, err := k.SignLicense(t.Context(), sample("tok_2", e.Clock.Now().Unix()))
		if err != nil {
			t.Fatal(err)
		}
		if nextKID == oldKID {
			t.Error("the retired key signed")
		}
		after := trust(t, k, e, 2)
		for name, keys := range map[string]*doc.Keys{"keyset before": before, "keyset after": after} {
			v := &doc.Verifier{Keys: keys, Audience: "editor", Now: e.Clock.Now}
			for which, token := range map[string]string{"old": old, "new": next} {
				if _, err := v.License(token); err != nil {
					t.Errorf("%s, %s token: %v", name, which, err)
				}
			}
		}
		e.Clock.Advance(2 * 3600 * 1e9)
		if _, err := (&doc.Verifier{Keys: after, Audience: "editor", Now: e.Clock.Now}).License(old); !errors.Is(err, doc.ErrExpired) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// trust is what a product that pins the root trusts after fetching the keyset; num is the lowest keyset it takes.
func trust(t testing.TB, k *keyring.Service, e storetest.Env, num int64) *doc.Keys {
	t.Helper()
	roots, err := k.Roots(t.Context())
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
	text, err := k.Keyset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := (&doc.Verifier{Keys: pins, Now: e.Clock.Now}).Keyset(text, num)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := set.Trust()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A rotation waits until products can have fetched the next key.
func TestRotateWaitsForPublication(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k := founded(t, e)
	rotate := func() error {
		_, err := k.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "drill"})
		return err
	}
	if err := errors.Join(rotate(), rotate()); err != nil {
		t.Fatal(err)
	}
	if err := rotate(); !errors.Is(err, keyring.ErrTooNew) {
		t.Errorf("third rotation at once: %v", err)
	}
	e.Clock.Advance(keyring.PublishLead)
	if err := rotate(); err != nil {
		t.Errorf("a day later: %v", err)
	}
}
