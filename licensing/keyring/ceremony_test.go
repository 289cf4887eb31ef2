package keyring_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const passphrase = "correct horse battery"

// nudges takes jobs and runs none.
type nudges struct{}

func (nudges) Enqueue(context.Context, licensing.Job) error { return nil }

// whole is a founded key ring with everything that ceremonies need.
func whole(t testing.TB, e storetest.Env) *keyring.Service {
	t.Helper()
	d := founded(t, e).Deps
	d.Works, d.Requests, d.Exports, d.IDs, d.Jobs = e.Store.Resignings(), e.Store.KeysetRequests(), e.Store.RootExports(), e.IDs, nudges{}
	k := keyring.New(d)
	if err := k.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	return k
}

// as is a context in which an actor calls.
func as(t testing.TB, kind licensing.ActorKind, id string) context.Context {
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: kind, ID: id, Role: licensing.RoleOwner}})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// person adds an account, since who approves is told by its address.
func person(t testing.TB, e storetest.Env, id, email string) {
	t.Helper()
	if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ($1, $2, '', 'owner', '', $3, $3)`, id, email, e.Clock.Now()); err != nil {
		t.Fatal(err)
	}
}

// offline takes the root out of the installation and returns it.
func offline(t testing.TB, k *keyring.Service) ed25519.PrivateKey {
	t.Helper()
	d := k.Deps
	d.Alone = true
	alone, ctx := keyring.New(d), as(t, licensing.CLI, "root")
	e := must(alone.ProposeExport(ctx, keyring.ProposeRequest{Reason: "safe"}))(t)
	taken := must(alone.TakeRoot(ctx, keyring.TakeRequest{ID: e.ID, Passphrase: passphrase}))(t)
	must(alone.ConfirmExport(ctx, keyring.ConfirmRequest{ID: e.ID, File: taken.File, Passphrase: passphrase}))(t)
	k.Forget()
	return must(keyring.OpenRoot([]byte(taken.File), passphrase))(t)
}

// ceremony has a root sign a request.
func ceremony(t testing.TB, e storetest.Env, a keyring.Asked, root ed25519.PrivateKey) string {
	t.Helper()
	c := must(keyring.OpenRequest([]byte(a.File), root.Public().(ed25519.PublicKey), e.Clock.Now()))(t)
	return must(c.Sign(root))(t)
}

// The root leaves the installation only when two owners want it, and only after its file was shown again: whoever proposed it cannot approve
// it, nor by another account of his address, nor at the machine; nobody else can take the file; another file, or another passphrase,
// leaves the root where it is; and every step has its audit row.
func TestK13_ExportNeedsTwoOwners(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k := whole(t, e)
		person(t, e, "cus_ada", "ada@example.com")
		person(t, e, "cus_ada2", "ada+work@example.com")
		person(t, e, "cus_bob", "bob@example.com")
		ada, bob := as(t, licensing.Staff, "cus_ada"), as(t, licensing.Staff, "cus_bob")
		p := must(k.ProposeExport(ada, keyring.ProposeRequest{Reason: "into the safe"}))(t)
		if _, err := k.ProposeExport(bob, keyring.ProposeRequest{Reason: "too"}); !errors.Is(err, keyring.ErrExporting) {
			t.Errorf("a second proposal: %v", err)
		}
		at := keyring.ExportRequest{ID: p.ID}
		for name, ctx := range map[string]context.Context{"the proposer": ada, "his other account": as(t, licensing.Staff, "cus_ada2"), "the machine": as(t, licensing.CLI, "root")} {
			if _, err := k.ApproveExport(ctx, at); !errors.Is(err, keyring.ErrSamePerson) {
				t.Errorf("%s approved: %v", name, err)
			}
		}
		if _, err := k.TakeRoot(ada, keyring.TakeRequest{ID: p.ID, Passphrase: passphrase}); !errors.Is(err, keyring.ErrExportState) {
			t.Errorf("taken before it was approved: %v", err)
		}
		must(k.ApproveExport(bob, at))(t)
		if _, err := k.TakeRoot(bob, keyring.TakeRequest{ID: p.ID, Passphrase: passphrase}); !errors.Is(err, keyring.ErrNotYours) {
			t.Errorf("taken by who approved it: %v", err)
		}
		taken := must(k.TakeRoot(ada, keyring.TakeRequest{ID: p.ID, Passphrase: passphrase}))(t)
		online := func() bool { k.Forget(); on, _, _, err := k.RootOnline(t.Context()); return err == nil && on }
		for name, r := range map[string]keyring.ConfirmRequest{
			"no file": {ID: p.ID, Passphrase: passphrase}, "half of it": {ID: p.ID, File: taken.File[:len(taken.File)/2], Passphrase: passphrase},
			"another passphrase": {ID: p.ID, File: taken.File, Passphrase: passphrase + "!"},
		} {
			if _, err := k.ConfirmExport(ada, r); !errors.Is(err, keyring.ErrNotTheRoot) || !online() {
				t.Errorf("confirmed with %s: %v, online %t", name, err, online())
			}
		}
		must(k.ConfirmExport(ada, keyring.ConfirmRequest{ID: p.ID, File: taken.File, Passphrase: passphrase}))(t)
		if online() {
			t.Error("the sealed copy is still there")
		}
		for _, action := range []string{"propose", "approve", "take", "confirm"} {
			var n int
			if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = $1 AND target = $2`, "root_export."+action, p.ID).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d audit rows of %s, %v", n, action, err)
			}
		}
		if _, err := k.ProposeExport(ada, keyring.ProposeRequest{Reason: "again"}); !errors.Is(err, keyring.ErrRootOffline) {
			t.Errorf("exported twice: %v", err)
		}
		if strings.Contains(taken.File, string(must(keyring.OpenRoot([]byte(taken.File), passphrase))(t).Seed())) {
			t.Error("the file shows the seed")
		}
	})
}

// An export lapses: a proposal after a week, an approval after a day; then it holds up no other.
func TestK13_ExportsLapse(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k := whole(t, e)
	person(t, e, "cus_ada", "ada@example.com")
	person(t, e, "cus_bob", "bob@example.com")
	ada, bob := as(t, licensing.Staff, "cus_ada"), as(t, licensing.Staff, "cus_bob")
	p := must(k.ProposeExport(ada, keyring.ProposeRequest{Reason: "safe"}))(t)
	e.Clock.Advance(8 * 24 * time.Hour)
	if _, err := k.ApproveExport(bob, keyring.ExportRequest{ID: p.ID}); !errors.Is(err, keyring.ErrExportState) {
		t.Errorf("approved after it lapsed: %v", err)
	}
	p = must(k.ProposeExport(ada, keyring.ProposeRequest{Reason: "safe"}))(t)
	must(k.ApproveExport(bob, keyring.ExportRequest{ID: p.ID}))(t)
	e.Clock.Advance(25 * time.Hour)
	if _, err := k.TakeRoot(ada, keyring.TakeRequest{ID: p.ID, Passphrase: passphrase}); !errors.Is(err, keyring.ErrExportState) {
		t.Errorf("taken after it lapsed: %v", err)
	}
	if _, err := k.ProposeExport(as(t, licensing.CLI, "root"), keyring.ProposeRequest{Reason: "at the machine"}); err != nil {
		t.Errorf("a lapsed export holds up another: %v", err)
	}
}

// With the root offline, a ceremony brings a keyset with the active key and two that stand by, after which planned rotation needs no
// root; keys that it brings wait until products can have fetched them, whenever they were asked for; and a revocation goes the same way.
func TestCeremony(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k, ctx := whole(t, e), staff(t.Context())
		root := offline(t, k)
		rotate := func() error {
			_, err := k.Rotate(ctx, keyring.RotateRequest{Reason: "yearly"})
			return err
		}
		if err := errors.Join(rotate(), rotate()); err != nil {
			t.Fatal(err)
		}
		if err := rotate(); !errors.Is(err, keyring.ErrNoStandby) {
			t.Fatalf("a third rotation: %v", err)
		}
		asked := must(k.Request(ctx, keyring.AskRequest{Reason: "two years"}))(t)
		keyset := ceremony(t, e, asked, root)
		e.Clock.Advance(3 * keyring.PublishLead)
		in := must(k.Import(ctx, keyring.ImportRequest{Keyset: keyset}))(t)
		if in.Standby != 2 || in.Keyset != 2 {
			t.Errorf("imported %+v", in)
		}
		if got := states(t, k); got["standby"] != 2 {
			t.Errorf("keys %v", got)
		}
		if err := rotate(); !errors.Is(err, keyring.ErrTooNew) {
			t.Errorf("a key signs that was just published: %v", err)
		}
		e.Clock.Advance(keyring.PublishLead)
		if err := errors.Join(rotate(), rotate()); err != nil {
			t.Errorf("rotation without the root: %v", err)
		}
		active := must(k.ActiveKID(t.Context()))(t)
		if _, err := k.Compromise(ctx, keyring.CompromiseRequest{KID: active, Reason: "stolen"}); !errors.Is(err, keyring.ErrNoStandby) && !errors.Is(err, keyring.ErrRootOffline) {
			t.Errorf("revoked without the root: %v", err)
		}
		asked = must(k.Request(ctx, keyring.AskRequest{Reason: "more keys"}))(t)
		must(k.Import(ctx, keyring.ImportRequest{Keyset: ceremony(t, e, asked, root)}))(t)
		asked = must(k.Request(ctx, keyring.AskRequest{Revoke: active, Reason: "stolen"}))(t)
		in = must(k.Import(ctx, keyring.ImportRequest{Keyset: ceremony(t, e, asked, root)}))(t)
		if in.Resigning == nil || in.Resigning.KID != active || in.Active == active || in.Standby != 2 {
			t.Errorf("the revocation led to %+v", in)
		}
		if got := states(t, k); got["revoked"] != 1 || got["active"] != 1 {
			t.Errorf("keys %v", got)
		}
		trust(t, k, e, 4)
	})
}

// What is imported must be what was asked for, signed by a root of the installation: a foreign root, a key of somebody else's under our own
// root, a weak key, a key twice, a private part, an older number and a second import are refused whole, and the old keyset stays. So no
// route brings a key in, and none signs what a caller says.
func TestK01_K02_K11_ImportTakesOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k, ctx := whole(t, e), staff(t.Context())
	root := offline(t, k)
	asked := must(k.Request(ctx, keyring.AskRequest{Reason: "keys"}))(t)
	before := must(k.Keyset(t.Context()))(t)
	var file struct{ Claims doc.Keyset }
	if err := json.Unmarshal([]byte(asked.File), &file); err != nil {
		t.Fatal(err)
	}
	stranger, strange, _ := ed25519.GenerateKey(nil)
	entry := must(doc.NewJWK(stranger, e.Clock.Now().Unix(), doc.TypeLicense))(t)
	sign := func(key ed25519.PrivateKey, change func(c *doc.Keyset)) string {
		c := file.Claims
		c.Keys = append([]doc.JWK(nil), c.Keys...)
		if change != nil {
			change(&c)
		}
		return must(must(doc.NewSigner(key))(t).Sign(&c))(t)
	}
	weak := entry
	weak.X = strings.Repeat("A", 43)
	for name, keyset := range map[string]string{
		"nothing": "", "no document": "a.b.c", "the keyset in force": before,
		"a foreign root":   sign(strange, nil),
		"a stranger's key": sign(root, func(c *doc.Keyset) { c.Keys = append(c.Keys, entry) }),
		"a weak key":       sign(root, func(c *doc.Keyset) { c.Keys = append(c.Keys, weak) }),
		"a key twice":      sign(root, func(c *doc.Keyset) { c.Keys = append(c.Keys, c.Keys[0]) }),
		"a later number":   sign(root, func(c *doc.Keyset) { c.Num++ }),
		"an older number":  sign(root, func(c *doc.Keyset) { c.Num-- }),
		"another issuer":   sign(root, func(c *doc.Keyset) { c.Issuer = "https://elsewhere.example.com" }),
		"a stranger as root": sign(root, func(c *doc.Keyset) {
			r := entry
			r.For = []string{doc.TypeKeyset}
			c.Roots = []doc.JWK{r}
		}),
		"a key more for its purpose": sign(root, func(c *doc.Keyset) { c.Keys[0].For = append([]string{doc.TypeKeyset}, c.Keys[0].For...) }),
	} {
		if _, err := k.Import(ctx, keyring.ImportRequest{Keyset: keyset}); !errors.Is(err, keyring.ErrForeignKeyset) && !errors.Is(err, keyring.ErrStaleKeyset) {
			t.Errorf("%s: %v", name, err)
		}
		if now := must(k.Keyset(t.Context()))(t); now != before {
			t.Fatalf("%s: the keyset changed", name)
		}
	}
	good := sign(root, nil)
	must(k.Import(ctx, keyring.ImportRequest{Keyset: good}))(t)
	if _, err := k.Import(ctx, keyring.ImportRequest{Keyset: good}); !errors.Is(err, keyring.ErrStaleKeyset) {
		t.Errorf("imported twice: %v", err)
	}
	for _, public := range []string{"", "AA", strings.Repeat("A", 43)} {
		if _, err := k.AddRoot(ctx, keyring.AddRootRequest{Root: public, Reason: "weak"}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("root %q: %v", public, err)
		}
		if _, err := k.Request(ctx, keyring.AskRequest{AddRoot: public, Reason: "weak"}); public != "" && licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("request for root %q: %v", public, err)
		}
	}
}

// A ceremony refuses to sign a request that drops a key, takes back a revocation or skips a number, and a root file opens only whole and
// with its passphrase.
func TestK12_CeremonyRefusesToGoBack(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k, ctx := whole(t, e), staff(t.Context())
	must(k.Compromise(ctx, keyring.CompromiseRequest{KID: must(k.ActiveKID(t.Context()))(t), Reason: "stolen"}))(t)
	root := offline(t, k)
	asked := must(k.Request(ctx, keyring.AskRequest{Reason: "keys"}))(t)
	public := root.Public().(ed25519.PublicKey)
	if c := must(keyring.OpenRequest([]byte(asked.File), public, e.Clock.Now()))(t); !c.Checked || c.Previous != 2 || len(c.Standby) != 2 || c.Issuer != issuer {
		t.Errorf("the ceremony says %+v", c)
	}
	for name, change := range map[string]func(c *doc.Keyset){
		"drops a key":              func(c *doc.Keyset) { c.Keys = c.Keys[1:] },
		"takes back a revocation":  func(c *doc.Keyset) { c.Keys[0].State, c.Keys[0].RevokedAt = doc.KeyRetired, 0 },
		"skips a number":           func(c *doc.Keyset) { c.Num++ },
		"repeats a number":         func(c *doc.Keyset) { c.Num-- },
		"is of another shop":       func(c *doc.Keyset) { c.Issuer = "https://elsewhere.example.com" },
		"is older than the keyset": func(c *doc.Keyset) { c.IssuedAt -= 3600 },
	} {
		var file map[string]json.RawMessage
		var claims doc.Keyset
		if err := errors.Join(json.Unmarshal([]byte(asked.File), &file), json.Unmarshal(file["claims"], &claims)); err != nil {
			t.Fatal(err)
		}
		change(&claims)
		file["claims"] = must(json.Marshal(&claims))(t)
		if _, err := keyring.OpenRequest(must(json.Marshal(file))(t), public, e.Clock.Now()); !errors.Is(err, keyring.ErrRequest) {
			t.Errorf("a request that %s: %v", name, err)
		}
	}
}

// Whoever has a root that products trust can make them trust any signing key, so one is added only when two owners want it, as one leaves: whoever
// proposed it cannot approve it, nor by another account, nor at the machine, where one person alone adds it only in an installation that one person
// runs. Nothing changes before, one that was withdrawn or lapsed is not added, and one that is trusted already is not proposed.
func TestK13_AddingARootNeedsTwoOwners(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k := whole(t, e)
		person(t, e, "cus_ada", "ada@example.com")
		person(t, e, "cus_ada2", "ada+work@example.com")
		person(t, e, "cus_bob", "bob@example.com")
		ada, bob, machine := as(t, licensing.Staff, "cus_ada"), as(t, licensing.Staff, "cus_bob"), as(t, licensing.CLI, "root")
		before := must(k.Keyset(t.Context()))(t)
		root := func() string {
			public, _, _ := ed25519.GenerateKey(nil)
			return doc.FormatPublicKey(public)
		}
		first := root()
		propose := func(ctx context.Context, public string) keyring.ExportRequest {
			t.Helper()
			out := must(k.AddRoot(ctx, keyring.AddRootRequest{Root: public, Reason: "another safe"}))(t)
			if out.Proposal == nil || out.Proposal.Adds != public || len(out.Roots) != 1 || must(k.Keyset(t.Context()))(t) != before {
				t.Fatalf("it was not merely proposed: %+v", out)
			}
			return keyring.ExportRequest{ID: out.Proposal.ID}
		}
		at := propose(ada, first)
		if _, err := k.AddRoot(bob, keyring.AddRootRequest{Root: first, Reason: "too"}); !errors.Is(err, keyring.ErrExporting) {
			t.Errorf("a second proposal: %v", err)
		}
		for name, ctx := range map[string]context.Context{"the proposer": ada, "his other account": as(t, licensing.Staff, "cus_ada2"), "the machine": machine} {
			if _, err := k.ApproveExport(ctx, at); !errors.Is(err, keyring.ErrSamePerson) {
				t.Errorf("%s approved: %v", name, err)
			}
		}
		if _, err := k.TakeRoot(ada, keyring.TakeRequest{ID: at.ID, Passphrase: passphrase}); !errors.Is(err, keyring.ErrExportState) {
			t.Errorf("the root's file for an addition: %v", err)
		}
		for name, end := range map[string]func(keyring.ExportRequest){
			"withdrawn": func(r keyring.ExportRequest) { must(k.WithdrawExport(ada, r))(t) },
			"lapsed":    func(keyring.ExportRequest) { e.Clock.Advance(8 * 24 * time.Hour) },
		} {
			other := propose(machine, root())
			end(other)
			if _, err := k.ApproveExport(bob, other); !errors.Is(err, keyring.ErrExportState) {
				t.Errorf("one that was %s: %v", name, err)
			}
		}
		at = propose(ada, first) // the one before has lapsed too
		if v := must(k.ApproveExport(bob, at))(t); v.State != string(keyring.Done) {
			t.Errorf("approved, it is %s", v.State)
		}
		if _, err := k.ApproveExport(bob, at); err == nil {
			t.Error("approved twice")
		}
		set := must(k.RootChangeAgain(t.Context(), at.ID, ""))(t)
		if len(set.Roots) != 2 || set.Roots[1] != first || set.Proposal != nil || must(k.Keyset(t.Context()))(t) == before {
			t.Errorf("approved, the roots are %+v", set)
		}
		if _, err := k.AddRoot(ada, keyring.AddRootRequest{Root: first, Reason: "again"}); !errors.Is(err, keyring.ErrKnownRoot) {
			t.Errorf("one that is trusted: %v", err)
		}
		d := k.Deps
		d.Alone = true
		if out := must(keyring.New(d).AddRoot(machine, keyring.AddRootRequest{Root: root(), Reason: "a third"}))(t); out.Proposal != nil || len(out.Roots) != 3 {
			t.Errorf("the operator of an installation of one: %+v", out)
		}
		count := func(action string) (n int) {
			t.Helper()
			if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = $1`, action).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if a, b := count("keyring.root_propose"), count("keyring.root_add"); a != 4 || b != 2 {
			t.Errorf("%d proposals and %d additions audited", a, b)
		}
	})
}
