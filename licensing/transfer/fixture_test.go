package transfer_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// post keeps the mail that is sent.
type post struct {
	mu     sync.Mutex
	sent   []transfer.Mail
	tokens []string
	staff  []transfer.Person
}

func (p *post) Offer(_ context.Context, m transfer.Mail, token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.tokens = append(p.sent, m), append(p.tokens, token)
	return nil
}

func (p *post) Tell(_ context.Context, m transfer.Mail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, m)
	return nil
}

func (p *post) Staff(context.Context) ([]transfer.Person, error) { return p.staff, nil }

// take returns what was mailed since the last time, "topic to", and the token of the newest offer.
func (p *post) take() (told []string, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		told = append(told, string(m.Topic)+" "+m.To)
	}
	if len(p.tokens) > 0 {
		token = p.tokens[len(p.tokens)-1]
	}
	p.sent = nil
	return told, token
}

// world is the service over a real database, with people in it.
type world struct {
	storetest.Env
	*transfer.Service
	licenses *license.Service
	deps     license.Deps
	post     *post
	killed   *storetest.Switches
	policy   license.PolicyView
	staff    context.Context
}

// movable are terms under which a license changes hands twice in thirty days.
func movable(approval bool) license.Terms {
	return license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 3, By: doc.ByDevice}, Transfer: license.Transfer{Allowed: true, Limit: 2, Period: 30 * license.Day, Approval: approval}}
}

func newWorld(t testing.TB, e storetest.Env, terms license.Terms) *world {
	t.Helper()
	w := &world{Env: e, killed: new(storetest.Switches), post: new(post)}
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	keys := keyring.New(keyring.Deps{Store: e.Store.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: e.Store, Audit: trail})
	if err := keys.Ensure(t.Context(), "https://licenses.example.com"); err != nil {
		t.Fatal(err)
	}
	w.deps = license.Deps{Store: e.Store.Licenses(), Policies: e.Store.Policies(), Tokens: e.Store.LicenseTokens(), Renewals: e.Store.LicenseRenewals(), Seating: e.Store.LicenseSeats(), Transfers: e.Store.LicenseOwners(), Trials: e.Store.LicenseOwners(),
		Env: licensing.Live, Signer: keys, Verifier: keys, Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Switches: w.killed}
	w.licenses = license.New(w.deps)
	w.Service = w.serve(w.licenses)
	w.staff = w.person(t, "sue@shop.example", licensing.Staff)
	if w.policy, err = w.licenses.CreatePolicy(w.staff, license.CreatePolicyRequest{ProductID: e.IDs.New("prod"), Code: "standard", Name: "Standard", Terms: terms}); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve makes a service that gives licenses away through l.
func (w *world) serve(l transfer.Licenses) *transfer.Service {
	return transfer.New(transfer.Deps{Store: w.Store.Transfers(), People: w.Store.Transfers(), Licenses: l, Notices: w.post, Throttle: limit.Throttle{Limiter: limit.NewLocal(w.Clock.Now)},
		Address: address, Clock: w.Clock.Now, IDs: w.IDs, Tx: w.Store, Audit: audit.New(audit.Deps{Store: w.Store.Audit(), Clock: w.Clock.Now, IDs: w.IDs}), Switches: w.killed})
}

// address is how accounts would have an address.
func address(text string) (string, error) {
	if !strings.Contains(text, "@") {
		return "", licensing.Fail(licensing.Invalid, "invalid", "This is no address.")
	}
	return strings.ToLower(strings.TrimSpace(text)), nil
}

// person makes somebody with an account, and is the context in which he calls.
func (w *world) person(t testing.TB, email string, kind licensing.ActorKind) context.Context {
	t.Helper()
	id := w.IDs.New("cus")
	name := strings.ToUpper(email[:1]) + email[1:3]
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, name_fold, password, role, confirmed_at, created_at, updated_at) VALUES ($1, $2, $3, $3, 'x', $4, $5, $5, $5)`,
		id, email, name, map[licensing.ActorKind]string{licensing.Staff: "admin"}[kind], w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	return w.as(t, licensing.Actor{Kind: kind, ID: id, Owner: licensing.Owner(id), Role: map[licensing.ActorKind]licensing.Role{licensing.Staff: licensing.RoleAdmin}[kind]})
}

func (w *world) as(t testing.TB, a licensing.Actor) context.Context {
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: a})
}

// give issues a license to whoever calls in ctx.
func (w *world) give(t testing.TB, owner context.Context, source string) *license.Draft {
	t.Helper()
	d, err := w.licenses.Draft(w.staff, license.IssueSpec{Source: license.Source{Kind: license.FromOrderUnit, ID: source}, ProductID: w.policy.ProductID, ProductSlug: "editor", PlanID: "plan_1", PlanCode: "pro",
		PolicyID: w.policy.ID, Owner: licensing.ActorFrom(owner).Owner, Env: licensing.Live})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.InTx(licensing.AsSystem(t.Context(), "fulfil"), func(ctx context.Context) error { _, err := w.licenses.Issue(ctx, d); return err }); err != nil {
		t.Fatal(err)
	}
	return d
}

// ask asks for a license to be given away, and returns the request with the token of its link.
func (w *world) ask(t testing.TB, ctx context.Context, id, email string) (transfer.View, string) {
	t.Helper()
	v, err := w.Ask(ctx, transfer.AskRequest{ID: id, Email: email})
	if err != nil {
		t.Fatal(err)
	}
	_, token := w.post.take()
	return v, token
}

func (w *world) owner(t testing.TB, id string) licensing.Owner {
	t.Helper()
	l, err := w.licenses.Get(w.staff, license.GetRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return licensing.Owner(l.Owner)
}

func (w *world) state(t testing.TB, id string) string {
	t.Helper()
	v, err := w.Get(w.staff, transfer.GetRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return v.State
}

// audited counts the audit rows of an action.
func (w *world) audited(t testing.TB, action string) (n int) {
	t.Helper()
	if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = $1`, action).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
