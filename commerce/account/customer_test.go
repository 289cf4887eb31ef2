package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestFindingCustomers: staff find people by the start of address or name in any case, or by id, newest first and page by page; what is no
// start of anything finds nobody.
func TestFindingCustomers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ids := map[string]string{}
		for _, c := range [][2]string{{"ada@example.com", "Ada Lovelace"}, {"adam@example.com", "Ünal"}, {"bob@example.com", "Adamant"}, {"eve@example.com", ""}} {
			out, err := r.CreateStaff(as(t, operator), account.CreateStaffRequest{Email: c[0], Name: c[1], Role: licensing.RoleSupport, Password: password})
			if err != nil {
				t.Fatal(err)
			}
			ids[c[0]] = out.ID
		}
		for q, want := range map[string]string{
			"": "eve bob adam ada", "ADA": "bob adam ada", "ada@": "ada", "adama": "bob", "ünal": "adam", "ÜN": "adam", ids["eve@example.com"]: "eve", "dam": "", "%": "", "a_a": "", "' OR 1=1 --": "",
		} {
			var got []string
			for cursor := ""; ; {
				page, err := r.ListCustomers(as(t, operator), account.ListCustomersRequest{Q: q, Page: licensing.Page{Cursor: cursor, Limit: 2}})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range page.Items {
					got = append(got, strings.TrimSuffix(c.Email, "@example.com"))
				}
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%q finds %v, want %q", q, got, want)
			}
		}
	})
}

// TestDisabling: a disabled person is out everywhere and stays out until enabled; nobody disables themselves, an admin no owner, and
// nobody the last owner; a reason is needed.
func TestDisabling(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		owner := r.staff(t, "owner@example.com", licensing.RoleOwner)
		admin := licensing.Actor{Kind: licensing.Staff, ID: r.staff(t, "admin@example.com", licensing.RoleAdmin), Role: licensing.RoleAdmin}
		in := r.signIn(t, "ada@example.com")
		two.actor(t, in.Token)
		if _, err := r.DisableCustomer(as(t, admin), account.DisableRequest{ID: id}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("without a reason: %v", err)
		}
		out, err := r.DisableCustomer(as(t, admin), account.DisableRequest{ID: id, Reason: "fraud"})
		if err != nil || out.DisabledAt == nil {
			t.Fatalf("%+v, %v", out, err)
		}
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "disabled", in.Token)
		_, err = r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password})
		fails(t, "disabled", err, account.ErrSignIn)
		if _, err := r.EnableCustomer(as(t, admin), account.DisableRequest{ID: id, Reason: "was none"}); err != nil {
			t.Fatal(err)
		}
		two.dead(t, "enabled, an old session", in.Token)
		r.signIn(t, "ada@example.com")
		for who, c := range map[string]struct {
			actor licensing.Actor
			id    string
			kind  licensing.Kind
		}{
			"themselves": {admin, admin.ID, licensing.Conflict}, "an admin an owner": {admin, owner, licensing.Forbidden}, "the operator the last owner": {operator, owner, licensing.Conflict},
			"nobody": {admin, "cus_none", licensing.NotFound},
		} {
			if _, err := r.DisableCustomer(as(t, c.actor), account.DisableRequest{ID: c.id, Reason: "x"}); licensing.KindOf(err) != c.kind {
				t.Errorf("%s: %v", who, err)
			}
		}
	})
}

// TestR10_LookingAtAnAccount: staff get a session of fifteen minutes that speaks for the customer, says who looks, is never fresh and only
// reads; it cannot be renewed, is not among the customer's own, and ends with the role of who opened it.
func TestR10_LookingAtAnAccount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		staff := r.staff(t, "grace@example.com", licensing.RoleSupport)
		grace := licensing.Actor{Kind: licensing.Staff, ID: staff, Role: licensing.RoleSupport, Fresh: true}
		look := func() account.ImpersonateResponse {
			t.Helper()
			out, err := r.Impersonate(as(t, grace), account.ImpersonateRequest{ID: id, Reason: "ticket 7"})
			if err != nil || out.Customer != id || !out.ExpiresAt.Equal(e.Clock.Now().Add(15*time.Minute)) {
				t.Fatalf("%+v, %v", out, err)
			}
			return out
		}
		out := look()
		a := two.actor(t, out.Token)
		if a.Kind != licensing.Customer || a.Owner != licensing.Owner(id) || a.By != staff || !a.ReadOnly || a.Fresh {
			t.Errorf("%+v", a)
		}
		if me, err := r.Me(as(t, a), account.MeRequest{}); err != nil || me.By != staff || me.ID != id {
			t.Errorf("%+v, %v", me, err)
		}
		var seen int64
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = 'customer.impersonate' AND target = $1 AND reason = 'ticket 7'`, out.ID).Scan(&seen); err != nil || seen != 1 {
			t.Errorf("the trail tells it %d times, %v", seen, err)
		}
		own := r.actor(t, r.signIn(t, "ada@example.com").Token)
		if list, err := r.ListSessions(as(t, own), account.ListSessionsRequest{}); err != nil || len(list.Items) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if _, err := r.SetRole(as(t, operator), account.SetRoleRequest{ID: staff, Role: ""}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "after the role was taken", out.Token)
		out = look()
		r.later(t, 15*time.Minute)
		r.dead(t, "after fifteen minutes", out.Token)
		for what, req := range map[string]account.ImpersonateRequest{"staff": {ID: r.staff(t, "other@example.com", licensing.RoleAuditor), Reason: "x"}, "nobody": {ID: "cus_none", Reason: "x"}, "no reason": {ID: id}} {
			if _, err := r.Impersonate(as(t, grace), req); err == nil {
				t.Errorf("%s was looked at", what)
			}
		}
		_, err := r.Impersonate(as(t, operator), account.ImpersonateRequest{ID: id, Reason: "x"})
		if err == nil || errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("the operator looks as nobody: %v", err)
		}
	})
}
