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
	"github.com/mintreu/mintreu/service/store/storetest"
)

// joined is a person who is signed in and may belong to an organisation.
type joined struct {
	id, email, member string
	in                account.SignInResponse
}

// person signs somebody up and in.
func (r *rig) person(t *testing.T, email string) joined {
	t.Helper()
	id := r.signUp(t, email)
	return joined{id: id, email: email, in: r.signIn(t, email)}
}

// by is the context in which a person calls, acting for whomever the session says.
func (r *rig) by(t *testing.T, p joined) context.Context {
	t.Helper()
	return as(t, r.actor(t, p.in.Token))
}

// found makes an organisation of the person's.
func (r *rig) found(t *testing.T, p joined, name string) account.OrganisationView {
	t.Helper()
	o, err := r.CreateOrganisation(r.by(t, p), account.CreateOrganisationRequest{OrganisationFields: account.OrganisationFields{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// invite invites an address and returns the token of the mailed link.
func (r *rig) invite(t *testing.T, by joined, org, email string, role licensing.OrgRole) string {
	t.Helper()
	if _, err := r.Invite(r.by(t, by), account.InviteRequest{ID: org, Email: email, Role: role}); err != nil {
		t.Fatal(err)
	}
	m := r.mail.last(t)
	if m.to != email || m.token == "" {
		t.Fatalf("the invite went as %+v", m)
	}
	return m.token
}

// join makes a person who is a member with a role.
func (r *rig) join(t *testing.T, by joined, org, email string, role licensing.OrgRole) joined {
	t.Helper()
	p := r.person(t, email)
	if _, err := r.AcceptInvite(r.by(t, p), account.InviteTokenRequest{Token: r.invite(t, by, org, email, role)}); err != nil {
		t.Fatal(err)
	}
	p.member = r.memberOf(t, org, p.id)
	return p
}

func (r *rig) memberOf(t *testing.T, org, person string) string {
	t.Helper()
	m, err := r.Store.Members().MembershipIn(t.Context(), org, person)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func (r *rig) actFor(t *testing.T, p joined, org string) {
	t.Helper()
	if _, err := r.ActFor(r.by(t, p), account.ActForRequest{Organisation: &org}); err != nil {
		t.Fatal(err)
	}
}

// TestR07_MembershipInForceEverywhere: a session acts for an organisation only as its person does at this moment. A role changed, a member
// removed and an organisation renamed or removed on one replica are so on another with a warm cache after its next reading of the
// feed, and at once when its feed has stopped; who is removed is himself again.
func TestR07_MembershipInForceEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		ada := one.person(t, "ada@example.com")
		org := one.found(t, ada, "Analytical Engines")
		bob := one.join(t, ada, org.ID, "bob@example.com", licensing.OrgMember)
		_, err := one.ActFor(one.by(t, bob), account.ActForRequest{})
		if licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("acting for nobody said: %v", err)
		}
		one.actFor(t, bob, org.ID)
		spread := func(feed bool) {
			t.Helper()
			if feed {
				e.Clock.Advance(500 * time.Millisecond)
				two.poll(t)
				return
			}
			e.Clock.Advance(2*time.Second + time.Microsecond)
		}
		for _, feed := range []bool{true, false} {
			for _, role := range []licensing.OrgRole{licensing.OrgAdmin, licensing.OrgOwner, licensing.OrgMember} {
				two.actor(t, bob.in.Token)
				if _, err := one.SetMemberRole(one.by(t, ada), account.MemberRoleRequest{ID: bob.member, Role: role}); err != nil {
					t.Fatal(err)
				}
				spread(feed)
				for _, r := range []*rig{one, two} {
					if a := r.actor(t, bob.in.Token); a.OrgRole != role || a.ID != bob.id || a.Owner != licensing.Owner(org.ID) || a.Org != org.ID || a.Kind != licensing.Customer {
						t.Errorf("after %s: %+v", role, a)
					}
				}
			}
			two.poll(t)
		}
		name := account.UpdateOrganisationRequest{ID: org.ID, OrganisationFields: account.OrganisationFields{Name: "Engines A/S"}}
		if _, err := one.UpdateOrganisation(one.by(t, ada), name); err != nil {
			t.Fatal(err)
		}
		spread(true)
		if a := two.actor(t, bob.in.Token); a.OrgName != "Engines A/S" {
			t.Errorf("the name is %q", a.OrgName)
		}
		for _, feed := range []bool{true, false} {
			two.actor(t, bob.in.Token)
			if _, err := one.RemoveMember(one.by(t, ada), account.MemberRequest{ID: bob.member}); err != nil {
				t.Fatal(err)
			}
			spread(feed)
			for _, r := range []*rig{one, two} {
				if a := r.actor(t, bob.in.Token); a.Owner != licensing.Owner(bob.id) || a.Org != "" || a.OrgRole != "" {
					t.Errorf("who was removed is %+v", a)
				}
				_, err := r.ActFor(as(t, r.actor(t, bob.in.Token)), account.ActForRequest{Organisation: &org.ID})
				fails(t, "acting for it again", err, licensing.ErrNotFound)
			}
			two.poll(t)
			if _, err := one.AcceptInvite(one.by(t, bob), account.InviteTokenRequest{Token: one.invite(t, ada, org.ID, bob.email, licensing.OrgAdmin)}); err != nil {
				t.Fatal(err)
			}
			if a := one.actor(t, bob.in.Token); a.Org != "" {
				t.Errorf("whoever comes back acts for it by himself: %+v", a)
			}
			bob.member = one.memberOf(t, org.ID, bob.id)
			one.actFor(t, bob, org.ID)
			spread(true)
		}
		two.actor(t, bob.in.Token)
		if _, err := one.DeleteOrganisation(one.by(t, ada), account.OrganisationRequest{ID: org.ID}); err != nil {
			t.Fatal(err)
		}
		spread(true)
		if a := two.actor(t, bob.in.Token); a.Owner != licensing.Owner(bob.id) || a.Org != "" {
			t.Errorf("who acted for what is no more is %+v", a)
		}
	})
}

// TestR08_SomebodyOwnsTheOrganisation: the last owner of an organisation cannot leave, be removed or be demoted; of two who try at the same
// moment, in any of these ways, one stays.
func TestR08_SomebodyOwnsTheOrganisation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada := r.person(t, "ada@example.com")
		org := r.found(t, ada, "Engines")
		ada.member = r.memberOf(t, org.ID, ada.id)
		admin := r.join(t, ada, org.ID, "admin@example.com", licensing.OrgAdmin)
		ways := map[string]func(context.Context, joined) error{
			"leave": func(ctx context.Context, _ joined) error {
				_, err := r.LeaveOrganisation(ctx, account.LeaveRequest{ID: org.ID})
				return err
			},
			"remove": func(ctx context.Context, p joined) error {
				_, err := r.RemoveMember(ctx, account.MemberRequest{ID: p.member})
				return err
			},
			"demote": func(ctx context.Context, p joined) error {
				_, err := r.SetMemberRole(ctx, account.MemberRoleRequest{ID: p.member, Role: licensing.OrgAdmin})
				return err
			},
		}
		for what, way := range ways {
			fails(t, "the last owner, "+what, way(r.by(t, ada), ada), account.ErrLastOwner)
		}
		fails(t, "an admin removes the owner", ways["remove"](r.by(t, admin), ada), account.ErrOrgRole)
		fails(t, "an admin demotes the owner", ways["demote"](r.by(t, admin), ada), account.ErrOrgRole)
		bob := r.join(t, ada, org.ID, "bob@example.com", licensing.OrgOwner)
		for what, way := range ways {
			var wg sync.WaitGroup
			errs := make([]error, 2)
			two := []joined{ada, bob}
			for i, p := range two {
				ctx := r.by(t, p)
				wg.Go(func() { errs[i] = way(ctx, p) })
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), account.ErrLastOwner) {
				t.Fatalf("both %s at once: %v", what, errs)
			}
			stays, went := &ada, &bob
			if errs[0] == nil {
				stays, went = &bob, &ada
			}
			r.owners(t, org.ID, 1)
			if what == "demote" {
				if _, err := r.SetMemberRole(r.by(t, *stays), account.MemberRoleRequest{ID: went.member, Role: licensing.OrgOwner}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			token := r.invite(t, *stays, org.ID, went.email, licensing.OrgOwner)
			if _, err := r.AcceptInvite(r.by(t, *went), account.InviteTokenRequest{Token: token}); err != nil {
				t.Fatal(err)
			}
			went.member = r.memberOf(t, org.ID, went.id)
		}
	})
}

// owners counts the owners of an organisation.
func (r *rig) owners(t *testing.T, org string, want int) {
	t.Helper()
	list, err := r.Store.Members().ListMembers(t.Context(), org, "")
	n := 0
	for _, m := range list {
		if m.Role == licensing.OrgOwner {
			n++
		}
	}
	if err != nil || n != want {
		t.Errorf("%d owners, want %d, %v", n, want, err)
	}
}

// naive is an account.Members that finds the memberships without locking the organisation, and waits until everybody has looked.
type naive struct {
	account.Members
	looked *sync.WaitGroup
	find   func(ctx context.Context, id, personID string) (account.Membership, account.Membership, error)
}

func (n naive) HoldMember(ctx context.Context, id, personID string) (account.Membership, account.Membership, error) {
	target, mine, err := n.find(ctx, id, personID)
	n.looked.Done()
	n.looked.Wait()
	return target, mine, err
}

// TestR08_TheLockIsWhatKeepsTheOwner: without the lock on the organisation two owners who remove themselves at the same moment both go
// before long, so the test above can fail. PostgreSQL alone: SQLite has one writer at a time.
func TestR08_TheLockIsWhatKeepsTheOwner(t *testing.T) {
	t.Parallel()
	e := storetest.Postgres(t)
	r := newRig(t, e)
	store := e.Store.Members()
	for round := range 20 {
		r.Service.Members = store
		ada := r.person(t, fmt.Sprintf("ada%d@example.com", round))
		org := r.found(t, ada, "Engines")
		ada.member = r.memberOf(t, org.ID, ada.id)
		bob := r.join(t, ada, org.ID, fmt.Sprintf("bob%d@example.com", round), licensing.OrgOwner)
		var looked sync.WaitGroup
		looked.Add(2)
		r.Service.Members = naive{store, &looked, func(ctx context.Context, id, personID string) (target, mine account.Membership, err error) {
			if mine, err = store.MembershipIn(ctx, org.ID, personID); err != nil {
				return target, mine, err
			}
			return mine, mine, nil
		}}
		// Both transactions have read before either has changed anything. When one commits before the other changes, the condition of
		// the change itself stops the other; when not, both go.
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, p := range []joined{ada, bob} {
			ctx := r.by(t, p)
			wg.Go(func() { _, errs[i] = r.RemoveMember(ctx, account.MemberRequest{ID: p.member}) })
		}
		wg.Wait()
		if errors.Join(errs...) == nil {
			r.owners(t, org.ID, 0)
			return
		}
	}
	t.Fatal("the naive way kept an owner in every round")
}

// TestR02_OrganisationsOfOthersDoNotExist: to whoever is no member, an organisation, its members and its invites are nothing; a member
// reads and changes nothing; admins invite and remove members alone; staff read all and find them by name.
func TestR02_OrganisationsOfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada, eve := r.person(t, "ada@example.com"), r.person(t, "eve@example.com")
		org, other := r.found(t, ada, "Engines"), r.found(t, eve, "Evil Engines")
		ada.member = r.memberOf(t, org.ID, ada.id)
		admin, plain := r.join(t, ada, org.ID, "admin@example.com", licensing.OrgAdmin), r.join(t, ada, org.ID, "plain@example.com", licensing.OrgMember)
		invited, err := r.Invite(r.by(t, ada), account.InviteRequest{ID: org.ID, Email: "new@example.com", Role: licensing.OrgAdmin})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]func(context.Context) error{
			"get": func(ctx context.Context) error {
				_, err := r.GetOrganisation(ctx, account.OrganisationRequest{ID: org.ID})
				return err
			},
			"members": func(ctx context.Context) error {
				_, err := r.OrganisationMembers(ctx, account.OrganisationRequest{ID: org.ID})
				return err
			},
			"update": func(ctx context.Context) error {
				_, err := r.UpdateOrganisation(ctx, account.UpdateOrganisationRequest{ID: org.ID, OrganisationFields: account.OrganisationFields{Name: "Mine"}})
				return err
			},
			"delete": func(ctx context.Context) error {
				_, err := r.DeleteOrganisation(ctx, account.OrganisationRequest{ID: org.ID})
				return err
			},
			"leave": func(ctx context.Context) error {
				_, err := r.LeaveOrganisation(ctx, account.LeaveRequest{ID: org.ID})
				return err
			},
			"invite": func(ctx context.Context) error {
				_, err := r.Invite(ctx, account.InviteRequest{ID: org.ID, Email: "x@example.com", Role: licensing.OrgAdmin})
				return err
			},
			"withdraw": func(ctx context.Context) error {
				_, err := r.WithdrawInvite(ctx, account.WithdrawInviteRequest{ID: invited.ID})
				return err
			},
			"role": func(ctx context.Context) error {
				_, err := r.SetMemberRole(ctx, account.MemberRoleRequest{ID: plain.member, Role: licensing.OrgAdmin})
				return err
			},
			"remove": func(ctx context.Context) error {
				_, err := r.RemoveMember(ctx, account.MemberRequest{ID: admin.member})
				return err
			},
			"act for": func(ctx context.Context) error {
				_, err := r.ActFor(ctx, account.ActForRequest{Organisation: &org.ID})
				return err
			},
		}
		for what, call := range all {
			for _, acting := range []string{"", other.ID} {
				r.actFor(t, eve, acting)
				fails(t, "a stranger's "+what, call(r.by(t, eve)), licensing.ErrNotFound)
			}
			if what != "get" && what != "members" {
				fails(t, "staff's "+what, call(as(t, licensing.Actor{Kind: licensing.Staff, ID: "cus_s", Role: licensing.RoleSupport})), licensing.ErrNotFound)
			}
		}
		for who, p := range map[string]joined{"a member": plain, "an admin": admin} {
			for _, what := range []string{"delete", "invite", "role"} {
				fails(t, who+"'s "+what, all[what](r.by(t, p)), account.ErrOrgRole)
			}
		}
		fails(t, "an admin withdraws what he could not give", all["withdraw"](r.by(t, admin)), account.ErrOrgRole)
		fails(t, "a member's withdraw", all["withdraw"](r.by(t, plain)), licensing.ErrNotFound)
		fails(t, "a member's update", all["update"](r.by(t, plain)), account.ErrOrgRole)
		fails(t, "a member's remove", all["remove"](r.by(t, plain)), account.ErrOrgRole)

		staff := as(t, licensing.Actor{Kind: licensing.Staff, ID: "cus_s", Role: licensing.RoleSupport})
		for who, c := range map[string]struct {
			ctx           context.Context
			query         string
			orgs, invites int
		}{"a stranger": {r.by(t, eve), "", 1, -1}, "a member": {r.by(t, plain), "", 1, 0}, "an admin": {r.by(t, admin), "", 1, 1}, "staff": {staff, "", 2, 1}, "staff by name": {staff, "evil ENG", 1, -1}} {
			list, err := r.ListOrganisations(c.ctx, account.ListOrganisationsRequest{Query: c.query})
			if err != nil || len(list.Items) != c.orgs {
				t.Errorf("%s sees %d organisations, want %d: %+v, %v", who, len(list.Items), c.orgs, list.Items, err)
			}
			if c.invites < 0 {
				continue
			}
			m, err := r.OrganisationMembers(c.ctx, account.OrganisationRequest{ID: org.ID})
			if err != nil || len(m.Members) != 3 || len(m.Invites) != c.invites || m.Members[0].Person != ada.id {
				t.Errorf("%s sees %+v, %v", who, m, err)
			}
		}
	})
}

// TestOrganisationFields: what an organisation says of itself is bounded, and no name carries links or markup into our mails.
func TestOrganisationFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	ada := r.person(t, "ada@example.com")
	for what, f := range map[string]account.OrganisationFields{
		"no name": {}, "space": {Name: " \t"}, "long": {Name: strings.Repeat("n", 101)}, "link": {Name: "Win at https://evil.example"}, "markup": {Name: "<b>"}, "control": {Name: "a\nb"}, "hidden": {Name: "a\u202eb"},
		"mail": {Name: "a", BillingEmail: "nobody"}, "country": {Name: "a", Country: "Germany"}, "vat": {Name: "a", VATID: "12"},
	} {
		if _, err := r.CreateOrganisation(r.by(t, ada), account.CreateOrganisationRequest{OrganisationFields: f}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	o, err := r.CreateOrganisation(r.by(t, ada), account.CreateOrganisationRequest{OrganisationFields: account.OrganisationFields{Name: " Møller & Søn A/S ", Country: "DK", VATID: "DK12345678"}})
	if err != nil || o.Name != "Møller & Søn A/S" || o.BillingEmail != "ada@example.com" || o.Role != licensing.OrgOwner || o.Members != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}
