package license_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const issuer = "https://licenses.example.com"

// world is a license service over a real database, with keys made.
type world struct {
	storetest.Env
	*license.Service
	keys   *keyring.Service
	killed *storetest.Switches
	policy license.PolicyView
	ctx    context.Context
}

func newWorld(t testing.TB, e storetest.Env, terms license.Terms) *world {
	t.Helper()
	w := &world{Env: e, killed: new(storetest.Switches)}
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	w.keys = keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: e.Store, Audit: trail})
	if err := w.keys.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	w.Service = license.New(license.Deps{
		Store: e.Store.Licenses(), Policies: e.Store.Policies(), Tokens: e.Store.LicenseTokens(), Renewals: e.Store.LicenseRenewals(), Seating: e.Store.LicenseSeats(), Transfers: e.Store.LicenseOwners(), Trials: e.Store.LicenseOwners(), Env: licensing.Live, Signer: w.keys, Verifier: w.keys,
		Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: w.killed,
	})
	w.ctx = licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true,
		Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
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
	err = w.Store.InTx(licensing.AsSystem(w.ctx, "fulfil"), func(ctx context.Context) error {
		issued, err = w.Issue(ctx, d)
		return err
	})
	return issued, err
}

// as is a context in which actor calls.
func (w *world) as(a licensing.Actor) context.Context {
	return licensing.WithCall(w.ctx, &licensing.Call{Operation: "test", Mutating: true, Actor: a})
}

func perpetual() license.Terms {
	return license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 3, By: doc.ByDevice},
		Entitlements: license.Entitlements{"export": doc.On(), "projects": doc.Int(10), "tier": doc.Text("gold")}}
}

// audited counts the audit rows of an action.
func (w *world) audited(t *testing.T, action string) (n int) {
	t.Helper()
	if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = $1`, action).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
