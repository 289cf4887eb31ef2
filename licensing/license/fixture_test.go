package license_test

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const issuer = "https://licenses.example.com"

// world is a license service over a real database, with keys made.
type world struct {
	storetest.Env
	*license.Service
	keys   *keyring.Service
	audit  *recorder
	killed *switches
	policy license.PolicyView
	ctx    context.Context
}

func newWorld(t *testing.T, e storetest.Env, terms license.Terms) *world {
	t.Helper()
	w := &world{Env: e, audit: &recorder{}, killed: &switches{}}
	seal := newSealer()
	w.keys = keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: seal, Clock: e.Clock.Now, Tx: e.Store, Audit: w.audit})
	if err := w.keys.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	w.Service = license.New(license.Deps{
		Store: e.Store.Licenses(), Policies: e.Store.Policies(), Tokens: e.Store.LicenseTokens(), Signer: w.keys, Verifier: w.keys,
		Seal: seal, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: w.audit, Switches: w.killed,
	})
	w.ctx = licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
	var err error
	w.policy, err = w.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: e.IDs.New("prod"), Code: "standard", Name: "Standard", Terms: terms})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// spec is what an order unit asks for.
func (w *world) spec(source string) license.IssueSpec {
	return license.IssueSpec{
		Source: license.Source{Kind: license.FromOrderUnit, ID: source}, ProductID: w.policy.ProductID, ProductSlug: "editor",
		PlanID: "plan_1", PlanCode: "pro", PolicyID: w.policy.ID, Owner: "cus_ada", Env: licensing.Live, Licensee: "Ada",
	}
}

// issue drafts and issues a license.
func (w *world) issue(t *testing.T, spec license.IssueSpec) *license.Draft {
	t.Helper()
	d, err := w.Draft(w.ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := w.store(d); err != nil || !ok {
		t.Fatalf("issue: %v %v", ok, err)
	}
	return d
}

func (w *world) store(d *license.Draft) (issued bool, err error) {
	err = w.Store.InTx(w.ctx, func(ctx context.Context) error {
		issued, err = w.Issue(ctx, d)
		return err
	})
	return issued, err
}

// as is a context in which actor calls.
func (w *world) as(a licensing.Actor) context.Context {
	return licensing.WithCall(w.ctx, &licensing.Call{Operation: "test", Actor: a})
}

func perpetual() license.Terms {
	return license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 3, By: doc.ByDevice},
		Entitlements: license.Entitlements{"export": doc.On(), "projects": doc.Int(10), "tier": doc.Text("gold")}}
}

// recorder keeps audit events.
type recorder struct {
	mu     sync.Mutex
	events []licensing.Event
}

func (r *recorder) Record(_ context.Context, e licensing.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return nil
}

func (r *recorder) count(action string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Action == action {
			n++
		}
	}
	return n
}

// switches is a set of kill switches that a test throws.
type switches struct {
	mu  sync.Mutex
	off bool
}

func (s *switches) set(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

func (s *switches) Check(context.Context, licensing.Switch, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return licensing.Fail(licensing.Unavailable, "switched-off", "Switched off.")
	}
	return nil
}

// sealer seals under a random key of its own.
type sealer struct{ key []byte }

func newSealer() *sealer {
	key := make([]byte, 32)
	rand.Read(key)
	return &sealer{key}
}

func (s *sealer) Seal(plain []byte, place string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(s.key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(place)), nil
}

func (s *sealer) Open(sealed []byte, place string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(s.key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(place))
}

func (s *sealer) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, s.key, nil, purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}
