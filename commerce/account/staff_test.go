package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestR07_U02_RoleInForceEverywhere: a role given or taken on one replica ends the person's sessions on another with a warm cache after its
// next reading of the feed, and at once when its feed has stopped; the next sign-in has the role.
func TestR07_U02_RoleInForceEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		id := one.signUp(t, "grace@example.com")
		in := one.signIn(t, "grace@example.com")
		for _, step := range []struct {
			role licensing.Role
			feed bool
			kind licensing.ActorKind
		}{{licensing.RoleFinance, true, licensing.Staff}, {licensing.RoleSupport, true, licensing.Staff}, {"", true, licensing.Customer}, {licensing.RoleAdmin, false, licensing.Staff}} {
			two.actor(t, in.Token)
			if _, err := one.SetRole(as(t, operator), account.SetRoleRequest{ID: id, Role: step.role}); err != nil {
				t.Fatal(err)
			}
			if step.feed {
				e.Clock.Advance(500 * time.Millisecond)
				two.poll(t)
			} else {
				e.Clock.Advance(2*time.Second + time.Microsecond)
			}
			one.dead(t, "here", in.Token)
			two.dead(t, "there", in.Token)
			_, err := two.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
			fails(t, "its renewal", err, account.ErrRenewal)
			in = one.signIn(t, "grace@example.com")
			for _, r := range []*rig{one, two} {
				a := r.actor(t, in.Token)
				if a.Role != step.role || a.Kind != step.kind || (a.Owner == "") != (a.Kind == licensing.Staff) {
					t.Errorf("after %q: %+v", step.role, a)
				}
			}
		}
	})
}

// TestR08_SomebodyStaysOwner: the last owner cannot be demoted, by himself or by the operator, and two owners who demote each other
// at once do not both succeed.
func TestR08_SomebodyStaysOwner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		first := r.staff(t, "first@example.com", licensing.RoleOwner)
		self := licensing.Actor{Kind: licensing.Staff, ID: first, Role: licensing.RoleOwner}
		for _, a := range []licensing.Actor{self, operator} {
			_, err := r.SetRole(as(t, a), account.SetRoleRequest{ID: first, Role: licensing.RoleAdmin})
			fails(t, "the last owner", err, account.ErrLastOwner)
			_, err = r.SetRole(as(t, a), account.SetRoleRequest{ID: first})
			fails(t, "the last owner", err, account.ErrLastOwner)
		}
		second := r.staff(t, "second@example.com", licensing.RoleOwner)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range []string{first, second} {
			wg.Go(func() {
				_, errs[i] = r.SetRole(as(t, operator), account.SetRoleRequest{ID: id, Role: licensing.RoleAuditor})
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), account.ErrLastOwner) {
			t.Errorf("both at once: %v", errs)
		}
		list, err := r.ListStaff(as(t, operator), account.ListStaffRequest{})
		owners := 0
		for _, p := range list.Items {
			if p.Role == licensing.RoleOwner {
				owners++
			}
		}
		if err != nil || len(list.Items) != 2 || owners != 1 {
			t.Errorf("%d owners of %+v, %v", owners, list.Items, err)
		}
	})
}

// TestWhoGrantsWhat: owners and the operator move any role, admins those below admin, nobody else any.
func TestWhoGrantsWhat(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.staff(t, "owner@example.com", licensing.RoleOwner)
	otherAdmin := r.staff(t, "admin@example.com", licensing.RoleAdmin)
	person := r.signUp(t, "person@example.com")
	admin := licensing.Actor{Kind: licensing.Staff, ID: "cus_x", Role: licensing.RoleAdmin}
	for _, c := range []struct {
		actor licensing.Actor
		id    string
		role  licensing.Role
		want  licensing.Kind
	}{
		{admin, person, licensing.RoleOwner, licensing.Forbidden}, {admin, person, licensing.RoleAdmin, licensing.Forbidden}, {admin, otherAdmin, "", licensing.Forbidden},
		{admin, person, "king", licensing.Invalid}, {licensing.Actor{Kind: licensing.Staff, Role: licensing.RoleSupport}, person, licensing.RoleSupport, licensing.Forbidden},
		{licensing.Actor{Kind: licensing.Customer, ID: person}, person, licensing.RoleAuditor, licensing.Forbidden},
		{licensing.Actor{Kind: licensing.Machine, ID: "mtk_1"}, person, licensing.RoleAuditor, licensing.Forbidden},
		{admin, "cus_none", licensing.RoleSupport, licensing.NotFound},
	} {
		if _, err := r.SetRole(as(t, c.actor), account.SetRoleRequest{ID: c.id, Role: c.role}); licensing.KindOf(err) != c.want {
			t.Errorf("%s gives %s %q: %v", c.actor, c.id, c.role, err)
		}
	}
	if _, err := r.SetRole(as(t, admin), account.SetRoleRequest{ID: person, Role: licensing.RoleSupport}); err != nil {
		t.Errorf("an admin gives support: %v", err)
	}
	guest, err := r.Guest(t.Context(), "guest@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetRole(as(t, operator), account.SetRoleRequest{ID: string(guest), Role: licensing.RoleSupport}); licensing.KindOf(err) != licensing.Conflict {
		t.Errorf("a role for somebody unconfirmed: %v", err)
	}
}

// TestCreateStaff: the operator sets a password, an owner has a link mailed, a known address is refused, and nobody else makes staff.
func TestCreateStaff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.staff(t, "owner@example.com", licensing.RoleOwner)
		if in := r.signIn(t, "owner@example.com"); in.Role != licensing.RoleOwner || r.actor(t, in.Token).Kind != licensing.Staff {
			t.Error("the first owner is no staff")
		}
		owner := as(t, licensing.Actor{Kind: licensing.Staff, ID: "cus_o", Role: licensing.RoleOwner})
		_, err := r.CreateStaff(owner, account.CreateStaffRequest{Email: "a@example.com", Role: licensing.RoleSupport, Password: password})
		if licensing.KindOf(err) != licensing.Forbidden {
			t.Errorf("an owner sets a password: %v", err)
		}
		if _, err := r.CreateStaff(owner, account.CreateStaffRequest{Email: "a@example.com", Role: licensing.RoleSupport}); err != nil || r.mail.last(t).to != "a@example.com" {
			t.Fatalf("%v, %+v", err, r.mail.last(t))
		}
		if _, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.last(t).token, Password: password}); err != nil {
			t.Fatal(err)
		}
		if in := r.signIn(t, "a@example.com"); in.Role != licensing.RoleSupport {
			t.Errorf("%+v", in)
		}
		_, err = r.CreateStaff(owner, account.CreateStaffRequest{Email: "A@example.com", Role: licensing.RoleAdmin})
		fails(t, "a known address", err, account.ErrTaken)
	})
}

// TestMachineTokens: made once, an actor with its scopes, product and environment, rotated with overlap, revoked everywhere, listed
// without secrets.
func TestMachineTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		ctx := as(t, operator)
		made, err := r.CreateMachine(ctx, account.CreateMachineRequest{Name: "ci", Scopes: []string{"keys:verify"}, Product: "prd_a", Env: licensing.Test})
		if err != nil || !licensing.ValidID("mtk", made.Token.ID) || !strings.HasPrefix(made.Secret, "mtk_test_") {
			t.Fatalf("%+v, %v", made, err)
		}
		a := r.actor(t, made.Secret)
		if a.Kind != licensing.Machine || a.ID != made.Token.ID || !a.Has("keys:verify") || a.Has("keys:write") || a.Product != "prd_a" || a.Env != licensing.Test || a.Owner != "" {
			t.Errorf("%+v", a)
		}
		fresh, err := r.RotateMachine(ctx, account.RotateMachineRequest{ID: made.Token.ID, Overlap: ptr(int64(60))})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.RotateMachine(ctx, account.RotateMachineRequest{ID: made.Token.ID})
		fails(t, "a third secret", err, account.ErrTwoSecrets)
		r.actor(t, made.Secret)
		e.Clock.Advance(time.Minute)
		r.poll(t)
		two.poll(t)
		r.dead(t, "rotated out", made.Secret)
		two.actor(t, fresh.Secret)
		if _, err := r.RevokeMachine(ctx, account.RevokeMachineRequest{ID: made.Token.ID}); err != nil {
			t.Fatal(err)
		}
		r.dead(t, "revoked", fresh.Secret)
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "revoked elsewhere", fresh.Secret)
		_, err = r.RotateMachine(ctx, account.RotateMachineRequest{ID: made.Token.ID})
		fails(t, "rotating a revoked one", err, licensing.ErrNotFound)
		list, err := r.ListMachines(ctx, account.ListMachinesRequest{})
		if err != nil || len(list.Items) != 1 || list.Items[0].RevokedAt == nil {
			t.Errorf("%+v, %v", list, err)
		}
		for what, bad := range map[string]account.CreateMachineRequest{
			"no name": {Scopes: []string{"a:b"}}, "no scope": {Name: "n"}, "bad scope": {Name: "n", Scopes: []string{"*"}},
			"bad env": {Name: "n", Scopes: []string{"a:b"}, Env: "prod"}, "over": {Name: "n", Scopes: []string{"a:b"}, ExpiresAt: ptr(e.Clock.Now())},
		} {
			if _, err := r.CreateMachine(ctx, bad); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		r.Scopes = []string{"keys:verify", "licenses:read"}
		_, err = r.CreateMachine(ctx, account.CreateMachineRequest{Name: "n", Scopes: []string{"keys:verify", "license:read"}})
		fails(t, "a mistyped scope", err, account.ErrScope)
		var told *licensing.Error
		if !errors.As(err, &told) || len(told.Fields) != 1 || told.Fields[0].Name != "/scopes/1" || !strings.Contains(told.Fields[0].Detail, "license:read; there are keys:verify, licenses:read") {
			t.Errorf("a mistyped scope: %+v", told)
		}
		if _, err := r.CreateMachine(ctx, account.CreateMachineRequest{Name: "n", Scopes: []string{"licenses:read", "keys:verify"}}); err != nil {
			t.Errorf("scopes that there are: %v", err)
		}
		r.Product = func(_ context.Context, id string) (bool, error) { return id == "prod_a", nil }
		if _, err := r.CreateMachine(ctx, account.CreateMachineRequest{Name: "n", Scopes: []string{"keys:verify"}, Product: "editor"}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("a product that is not there: %v", err)
		}
		short, err := r.CreateMachine(ctx, account.CreateMachineRequest{Name: "n", Scopes: []string{"keys:verify"}, Product: "prod_a", ExpiresAt: ptr(e.Clock.Now().Add(time.Hour))})
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Hour)
		_, err = r.RotateMachine(ctx, account.RotateMachineRequest{ID: short.Token.ID})
		fails(t, "a new secret for one that has ended", err, account.ErrTokenOver)
	})
}

// lookups counts how often credentials are looked up.
type lookups struct {
	account.Sessions
	account.Machines
	n int
}

func (l *lookups) PassByDigest(ctx context.Context, head []byte) (account.SignedIn, error) {
	l.n++
	return l.Sessions.PassByDigest(ctx, head)
}

func (l *lookups) MachineByDigest(ctx context.Context, head []byte) (account.MachineRecord, error) {
	l.n++
	return l.Machines.MachineByDigest(ctx, head)
}

// TestA02_A06_InventedBearers: texts in the form of sessions and machine tokens that do not exist reach the database a hundred times from one address, then
// ten times a second; those without a right checksum never. A session and a token that are in use there go on, and others come through from elsewhere.
func TestA02_A06_InventedBearers(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	counted := &lookups{Sessions: r.Service.Sessions, Machines: r.Service.Machines}
	r.Service.Sessions, r.Service.Machines = counted, counted
	r.from = "192.0.2.1"
	r.signUp(t, "ada@example.com")
	warm, cold := r.signIn(t, "ada@example.com"), r.signIn(t, "ada@example.com")
	made, err := r.CreateMachine(as(t, operator), account.CreateMachineRequest{Name: "ci", Scopes: []string{"keys:verify"}})
	other, err2 := r.CreateMachine(as(t, operator), account.CreateMachineRequest{Name: "cd", Scopes: []string{"keys:verify"}})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	r.poll(t)
	use := func(text string) error {
		_, err := r.ByBearer(t.Context(), text)
		return err
	}
	if err := errors.Join(use(warm.Token), use(made.Secret)); err != nil {
		t.Fatal(err)
	}
	counted.n = 0
	for range 1000 {
		if err := use(made.Secret[:len(made.Secret)-7] + "A" + made.Secret[len(made.Secret)-6:]); licensing.KindOf(err) != licensing.Unauthorized {
			t.Fatal(err)
		}
	}
	if counted.n != 0 {
		t.Errorf("%d lookups of texts without a checksum", counted.n)
	}
	refused := 0
	for i := range 1000 {
		invented := fmt.Sprintf("mts_%043d", i)
		if i%2 == 0 {
			text, err := credential.Format{Prefix: "mtk"}.New(licensing.Live, nil)
			if err != nil {
				t.Fatal(err)
			}
			invented = text.Full
		}
		switch err := use(invented); licensing.KindOf(err) {
		case licensing.TooMany:
			refused++
		case licensing.Unauthorized:
		default:
			t.Fatal(err)
		}
	}
	if counted.n != 100 || refused != 900 {
		t.Errorf("%d lookups, %d refusals", counted.n, refused)
	}
	if err := errors.Join(use(warm.Token), use(made.Secret)); err != nil {
		t.Errorf("in use: %v", err)
	}
	if err := use(cold.Token); err != nil {
		t.Errorf("a session that was begun meanwhile, from the guesser's address: %v", err)
	}
	fails(t, "a token that is not known here yet", use(other.Secret), credential.ErrGuessing)
	r.from = "198.51.100.1"
	if err := use(other.Secret); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// TestR02_OthersSessionsDoNotExist: nobody ends or lists the sessions of another person.
func TestR02_OthersSessionsDoNotExist(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		r.signUp(t, "eve@example.com")
		ada, eve := r.signIn(t, "ada@example.com"), r.signIn(t, "eve@example.com")
		_, err := r.EndSession(as(t, r.actor(t, eve.Token)), account.EndSessionRequest{ID: ada.ID})
		fails(t, "another's session", err, licensing.ErrNotFound)
		_, err = r.EndSession(as(t, r.actor(t, eve.Token)), account.EndSessionRequest{ID: "ses_none"})
		fails(t, "no session", err, licensing.ErrNotFound)
		_, err = r.ListSessions(as(t, licensing.Actor{Kind: licensing.Machine, ID: "mtk_1"}), account.ListSessionsRequest{})
		fails(t, "a machine's sessions", err, licensing.ErrNotFound)
		r.actor(t, ada.Token)
		if _, err := r.EndSession(as(t, r.actor(t, ada.Token)), account.EndSessionRequest{ID: ada.ID}); err != nil {
			t.Fatal(err)
		}
		r.dead(t, "ended", ada.Token)
	})
}

// TestPrune: sessions and mailed tokens are removed thirty days after their end, not before.
func TestPrune(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		r.signIn(t, "ada@example.com")
		e.Clock.Advance(30 * 24 * time.Hour)
		if n, err := r.Prune(t.Context()); n != 0 || err != nil {
			t.Errorf("%d removed early, %v", n, err)
		}
		e.Clock.Advance(24*time.Hour + time.Microsecond)
		if n, err := r.Prune(t.Context()); n != 2 || err != nil {
			t.Errorf("%d removed, want the session and the token, %v", n, err)
		}
	})
}
