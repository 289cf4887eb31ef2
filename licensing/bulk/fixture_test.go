package bulk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// world is the service of runs over a real database, with a product, a policy and customers.
type world struct {
	storetest.Env
	*bulk.Service
	licenses *license.Service
	keys     *apikey.Service
	jobs     *queue
	killed   *storetest.Switches
	policy   license.PolicyView
	ctx      context.Context
	seal     *seal.Key
}

func newWorld(t testing.TB, e storetest.Env) *world {
	t.Helper()
	w := &world{Env: e, jobs: &queue{}, killed: new(storetest.Switches)}
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.seal = key
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	keys := keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: e.Store, Audit: trail})
	if err := keys.Ensure(t.Context(), "https://licenses.example.com"); err != nil {
		t.Fatal(err)
	}
	w.licenses = license.New(license.Deps{Store: e.Store.Licenses(), Policies: e.Store.Policies(), Tokens: e.Store.LicenseTokens(), Many: e.Store.ManyLicenses(), Trials: e.Store.LicenseOwners(), Env: licensing.Live, Trail: trail,
		Signer: keys, Verifier: keys, Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: w.killed})
	w.keys, err = apikey.New(apikey.Deps{Store: e.Store.APIKeys(), Changer: e.Store.KeyChanges(), Credits: e.Store.KeyCredits(), Uses: e.Store.KeyUses(), Templates: e.Store.KeyTemplates(), Holds: e.Store.KeyHolds(), Imports: e.Store.KeyImports(), Limiter: limit.NewLocal(e.Clock.Now),
		Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: productSwitches{w.killed}})
	if err != nil {
		t.Fatal(err)
	}
	e.Store.Watch("api_key", w.keys.Invalidate)
	w.Service = bulk.New(bulk.Deps{Store: e.Store.Runs(), Results: e.Store.Runs(), Licenses: w.licenses, APIKeys: w.keys, Products: products{}, Owners: &owners{e}, Jobs: w.jobs, Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Joint: e.Store, Audit: trail,
		Switches: w.killed, Small: e.DB.Engine() == db.SQLite})
	w.ctx = w.as(licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}, t.Context())
	w.policy = w.makePolicy(t, "standard", license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 3, By: doc.ByDevice}, Entitlements: license.Entitlements{"export": doc.On()}})
	return w
}

const product = "prod_00000000000070008000000000000001"

func (w *world) makePolicy(t testing.TB, code string, terms license.Terms) license.PolicyView {
	t.Helper()
	p, err := w.licenses.CreatePolicy(w.ctx, license.CreatePolicyRequest{ProductID: product, Code: code, Name: code, Terms: terms})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// as is a context in which actor calls.
func (w *world) as(a licensing.Actor, ctx context.Context) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "test", Mutating: true, Actor: a})
}

// from is what every request of these tests asks for.
func (w *world) from() bulk.From {
	return bulk.From{Policy: w.policy.ID, Env: licensing.Live, Reason: "resellers"}
}

// work runs the jobs that wait, as one worker does, until none is left.
func (w *world) work(t *testing.T) {
	t.Helper()
	for {
		j, ok := w.jobs.take()
		if !ok {
			return
		}
		if err := w.run(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) run(ctx context.Context, j licensing.Job) error {
	args, err := json.Marshal(j.Args)
	if err != nil {
		return err
	}
	return w.Work(licensing.AsSystem(ctx, bulk.JobWork), args)
}

// get reads a run.
func (w *world) get(t *testing.T, id string) bulk.RunView {
	t.Helper()
	v, err := w.GetRun(w.ctx, bulk.RunRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// number counts what a statement finds.
func (w *world) number(t *testing.T, sql string, args ...any) (n int64) {
	t.Helper()
	if err := w.DB.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// sound fails the test if an invariant of licenses does not hold.
func (w *world) sound(t *testing.T) {
	t.Helper()
	broken, err := w.Env.Store.LicenseViolations(t.Context(), w.Clock.Now())
	if err != nil || len(broken) > 0 {
		t.Errorf("%v, %v", broken, err)
	}
}

// productSwitches are switches of which none is pressed for a product alone.
type productSwitches struct{ licensing.Switches }

// CheckProduct implements [apikey.Switches].
func (productSwitches) CheckProduct(context.Context, licensing.Switch, string) error { return nil }

type products struct{}

// LicensedProduct implements [bulk.Products].
func (products) LicensedProduct(_ context.Context, id string) (bulk.Product, error) {
	if id != product {
		return bulk.Product{}, licensing.ErrNotFound
	}
	return bulk.Product{ID: id, Slug: "editor", KeyPrefix: "EDIT"}, nil
}

// owners makes customers as simply as can be.
type owners struct{ storetest.Env }

// NormalEmail implements [bulk.Owners].
func (owners) NormalEmail(email string) (string, error) {
	if !strings.Contains(email, "@") {
		return "", licensing.Fail(licensing.Invalid, "invalid", "The e-mail address cannot be used.")
	}
	return strings.ToLower(email), nil
}

// Guests implements [bulk.Owners].
func (o *owners) Guests(ctx context.Context, emails []string) (map[string]licensing.Owner, error) {
	out := make(map[string]licensing.Owner, len(emails))
	for _, email := range emails {
		_, err := o.DB.Exec(ctx, `INSERT INTO customer (id, email, name, role, password, created_at, updated_at, name_fold)
			VALUES ($1, $2, '', '', '', $3, $3, '') ON CONFLICT (email) DO NOTHING`, o.IDs.New("cus"), email, o.Clock.Now())
		if err != nil {
			return nil, err
		}
		var id string
		if err := o.DB.QueryRow(ctx, `SELECT id FROM customer WHERE email = $1`, email).Scan(&id); err != nil {
			return nil, err
		}
		out[email] = licensing.Owner(id)
	}
	return out, nil
}

// OwnersExist implements [bulk.Owners].
func (owners) OwnersExist(context.Context, []licensing.Owner) (map[licensing.Owner]bool, error) {
	return map[licensing.Owner]bool{reseller: true}, nil
}

const reseller = "cus_00000000000070008000000000000002"

// queue is an outbox that a test empties itself.
type queue struct {
	mu   sync.Mutex
	jobs []licensing.Job
}

// Enqueue implements [licensing.Enqueuer].
func (q *queue) Enqueue(_ context.Context, j licensing.Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
	return nil
}

func (q *queue) take() (licensing.Job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return licensing.Job{}, false
	}
	j := q.jobs[0]
	q.jobs = q.jobs[1:]
	return j, true
}

// is fails the test unless err has the code.
func is(t *testing.T, err error, code string) {
	t.Helper()
	var e *licensing.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
