package activation_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// replica is one process: its services over a database that others may share.
type replica struct {
	*activation.Service
	licenses *license.Service
	keys     *keyring.Service
	killed   *storetest.Switches
	deps     activation.Deps
	store    *store.Store
}

// newReplica starts a process on a database.
func newReplica(t *testing.T, e storetest.Env, d db.DB) *replica {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(d, e.Clock.Now, e.IDs).WithSeal(key)
	trail := audit.New(audit.Deps{Store: s.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	r := &replica{killed: new(storetest.Switches), store: s}
	r.keys = keyring.New(keyring.Deps{Store: s.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: s, Audit: trail})
	if err := r.keys.Ensure(t.Context(), "https://licenses.example.com"); err != nil {
		t.Fatal(err)
	}
	r.licenses = license.New(license.Deps{
		Store: s.Licenses(), Policies: s.Policies(), Tokens: s.LicenseTokens(), Renewals: s.LicenseRenewals(), Seating: s.LicenseSeats(), Transfers: s.LicenseOwners(), Trials: s.LicenseOwners(), Many: s.ManyLicenses(), Trail: trail, Env: licensing.Live, Signer: r.keys, Verifier: r.keys,
		Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: s, Audit: trail, Switches: r.killed,
	})
	r.deps = activation.Deps{Store: s.Activations(), Lends: s.Lender(), Answers: s.OfflineAnswers(), Seal: key, Licenses: r.licenses, Signer: r.keys, Verifier: r.keys, Clock: e.Clock.Now,
		IDs: e.IDs, Tx: s, Audit: trail, Switches: r.killed}
	r.Service = activation.New(r.deps)
	return r
}

// world is a database with two replicas on it, each with its own services and memory.
type world struct {
	storetest.Env
	*replica
	replicas []*replica
}

// newWorld makes two replicas and, when the test ends, demands that no invariant is broken.
func newWorld(t *testing.T, e storetest.Env) *world {
	t.Helper()
	first, second := newReplica(t, e, e.DB), newReplica(t, e, e.DB)
	w := &world{Env: e, replica: first, replicas: []*replica{first, second}}
	t.Cleanup(func() { w.sound(t) })
	return w
}

// terms are those of five seats by device, of which two components of three must agree.
func terms(seats int64) license.Terms {
	return license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: seats, By: doc.ByDevice}, Match: 2,
		Fresh: license.Day, Stale: license.Day, Grace: license.Day, Recheck: 3600, Entitlements: license.Entitlements{"export": doc.On()}}
}

var sources struct {
	mu sync.Mutex
	n  int
}

// issue issues a license under terms and returns it with its key.
func (w *world) issue(t *testing.T, terms license.Terms) *license.Draft {
	t.Helper()
	ctx := staff(t.Context())
	sources.mu.Lock()
	sources.n++
	n := sources.n
	sources.mu.Unlock()
	p, err := w.licenses.CreatePolicy(ctx, license.CreatePolicyRequest{ProductID: w.IDs.New("prod"), Code: fmt.Sprint("p", n), Name: "P", Terms: terms})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.licenses.Draft(ctx, license.IssueSpec{
		Source: license.Source{Kind: license.FromOrderUnit, ID: fmt.Sprint("line/", n)}, ProductID: p.ProductID, ProductSlug: "editor",
		PlanID: "plan_1", PlanCode: "pro", PolicyID: p.ID, Owner: "cus_ada", Env: licensing.Live,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.InTx(ctx, func(ctx context.Context) error {
		_, err := w.licenses.Issue(ctx, d)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func staff(ctx context.Context) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "test", Mutating: true,
		Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
}

// holder is a context in which the bearer of a key or token calls, through the product's own authentication.
func (r *replica) holder(ctx context.Context, credential string) (context.Context, error) {
	a, err := r.licenses.ByCredential(ctx, credential)
	return licensing.WithCall(ctx, &licensing.Call{Operation: "activation.create", Mutating: true, Actor: a}), err
}

// activate activates device n.
func (r *replica) activate(ctx context.Context, key string, device map[string]string) (sdk.ActivateResponse, error) {
	ctx, err := r.holder(ctx, key)
	if err != nil {
		return sdk.ActivateResponse{}, err
	}
	return r.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device, Name: "box"})
}

func activateRequest(n int) sdk.ActivateRequest {
	return sdk.ActivateRequest{Product: "editor", Device: device(n), Name: "box"}
}

// beat renews with a lease.
func (r *replica) beat(ctx context.Context, lease string) (sdk.HeartbeatResponse, error) {
	ctx, id, err := r.device(ctx, lease)
	if err != nil {
		return sdk.HeartbeatResponse{}, err
	}
	return r.Heartbeat(ctx, sdk.HeartbeatRequest{ID: id})
}

func (r *replica) leave(ctx context.Context, lease string) (sdk.DeactivateResponse, error) {
	ctx, id, err := r.device(ctx, lease)
	if err != nil {
		return sdk.DeactivateResponse{}, err
	}
	return r.Deactivate(ctx, sdk.DeactivateRequest{ID: id})
}

func (r *replica) device(ctx context.Context, lease string) (context.Context, string, error) {
	a, err := r.ByLease(ctx, lease)
	return licensing.WithCall(ctx, &licensing.Call{Operation: "activation.beat", Mutating: true, Actor: a}), a.ID, err
}

// device describes device n: three components, of which "os" is the same on all.
func device(n int) map[string]string {
	return map[string]string{
		"board": doc.DeviceDigest("editor", "board", fmt.Sprint(n)), "disk": doc.DeviceDigest("editor", "disk", fmt.Sprint(n)),
		"os": doc.DeviceDigest("editor", "os", "linux"),
	}
}

// seats reads what the license says of its seats, and how many activations really hold one.
func (w *world) seats(t *testing.T, id string) (used, held int) {
	t.Helper()
	err := w.DB.QueryRow(context.Background(), `SELECT seats_used, (SELECT count(*) FROM activation WHERE license_id = $1 AND state = 'held')
		FROM license WHERE id = $1`, id).Scan(&used, &held)
	if err != nil {
		t.Fatal(err)
	}
	return used, held
}

// sound demands that no invariant of licenses is broken.
func (w *world) sound(t *testing.T) {
	t.Helper()
	found, err := w.Store.LicenseViolations(context.Background(), w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Errorf("%s: %s: %s", v.Invariant, v.Object, v.Text)
	}
}

// lease reads a lease's claims.
func (w *world) lease(t *testing.T, text string) *doc.Lease {
	t.Helper()
	l, err := w.keys.VerifyLease(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
