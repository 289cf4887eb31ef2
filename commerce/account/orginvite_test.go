package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func (r *rig) accept(t *testing.T, p joined, token string) error {
	t.Helper()
	_, err := r.AcceptInvite(r.by(t, p), account.InviteTokenRequest{Token: token})
	return err
}

// TestR09_InvitesWorkOnceForTheirAddress: an invite makes a member of who signed in with its address, with its role, once; not of others, not
// after seven days, not when withdrawn, replaced, or sent by somebody who could not give the role any more; and it raises nobody who is a
// member already. Every token that is over reads like one that never was.
func TestR09_InvitesWorkOnceForTheirAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada, bob, eve := r.person(t, "ada@example.com"), r.person(t, "bob@example.com"), r.person(t, "eve@example.com")
		org := r.found(t, ada, "Engines")
		over := func(what, token string) {
			t.Helper()
			fails(t, what, r.accept(t, bob, token), account.ErrInvite)
			_, err := r.ShowInvite(as(t, nobody), account.InviteTokenRequest{Token: token})
			var told *licensing.Error
			if !errors.As(err, &told) || told.Code != account.ErrInvite.Code || told.Text != account.ErrInvite.Text {
				t.Errorf("%s shows: %v", what, err)
			}
		}
		token := r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgMember)
		shown, err := r.ShowInvite(as(t, nobody), account.InviteTokenRequest{Token: token})
		if err != nil || shown.Organisation != "Engines" || shown.Email != "bob@example.com" || shown.Role != licensing.OrgMember || !shown.ExpiresAt.Equal(e.Clock.Now().Add(7*24*time.Hour)) {
			t.Errorf("%+v, %v", shown, err)
		}
		fails(t, "another address", r.accept(t, eve, token), account.ErrInviteAddress)
		fails(t, "the sender", r.accept(t, ada, token), account.ErrInviteAddress)
		if err := r.accept(t, bob, token); err != nil {
			t.Fatal(err)
		}
		over("a used one", token)
		over("an unknown one", strings.Repeat("t", 43))
		over("a long one", strings.Repeat("t", 5000))
		bob.member = r.memberOf(t, org.ID, bob.id)

		_, err = r.Invite(r.by(t, ada), account.InviteRequest{ID: org.ID, Email: "BOB@example.com", Role: licensing.OrgOwner})
		fails(t, "inviting a member", err, account.ErrMember)
		if _, err := r.RemoveMember(r.by(t, ada), account.MemberRequest{ID: bob.member}); err != nil {
			t.Fatal(err)
		}

		first := r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgMember)
		raised := r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgAdmin)
		over("a replaced one", first)
		list, err := r.OrganisationMembers(r.by(t, ada), account.OrganisationRequest{ID: org.ID})
		if err != nil || len(list.Invites) != 1 || list.Invites[0].Role != licensing.OrgAdmin {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := r.WithdrawInvite(r.by(t, ada), account.WithdrawInviteRequest{ID: list.Invites[0].ID}); err != nil {
			t.Fatal(err)
		}
		over("a withdrawn one", raised)
		_, err = r.WithdrawInvite(r.by(t, ada), account.WithdrawInviteRequest{ID: list.Invites[0].ID})
		fails(t, "withdrawing again", err, account.ErrInvite)

		late := r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgMember)
		e.Clock.Advance(7*24*time.Hour - time.Microsecond)
		bob.in, ada.in = r.signIn(t, bob.email), r.signIn(t, ada.email)
		if _, err := r.ShowInvite(as(t, nobody), account.InviteTokenRequest{Token: late}); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		e.Clock.Advance(time.Microsecond)
		over("an expired one", late)
		if list, err := r.OrganisationMembers(r.by(t, ada), account.OrganisationRequest{ID: org.ID}); err != nil || len(list.Invites) != 0 {
			t.Errorf("an expired invite is listed: %+v, %v", list, err)
		}
		if n, err := r.Prune(t.Context()); n != 0 || err != nil {
			t.Errorf("%d removed early, %v", n, err)
		}

		// What was given by somebody who is trusted no more is not given, whether demoted or gone; and it is again when the trust is.
		grace := r.join(t, ada, org.ID, "grace@example.com", licensing.OrgOwner)
		mine := r.memberOf(t, org.ID, ada.id)
		token = r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgAdmin)
		for _, role := range []licensing.OrgRole{licensing.OrgAdmin, licensing.OrgMember} {
			if _, err := r.SetMemberRole(r.by(t, grace), account.MemberRoleRequest{ID: mine, Role: role}); err != nil {
				t.Fatal(err)
			}
			over("one of a sender who is "+string(role), token)
		}
		if _, err := r.RemoveMember(r.by(t, grace), account.MemberRequest{ID: mine}); err != nil {
			t.Fatal(err)
		}
		over("one of a sender who is gone", token)
	})
}

// TestR09_OneOfManyAccepts: of many uses of one invite at the same moment one joins.
func TestR09_OneOfManyAccepts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada, bob := r.person(t, "ada@example.com"), r.person(t, "bob@example.com")
		org := r.found(t, ada, "Engines")
		token := r.invite(t, ada, org.ID, "bob@example.com", licensing.OrgMember)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			ctx := r.by(t, bob)
			wg.Go(func() { _, errs[i] = r.AcceptInvite(ctx, account.InviteTokenRequest{Token: token}) })
		}
		wg.Wait()
		in := 0
		for _, err := range errs {
			if err == nil {
				in++
			} else if !errors.Is(err, account.ErrInvite) {
				t.Error(err)
			}
		}
		list, err := r.OrganisationMembers(r.by(t, ada), account.OrganisationRequest{ID: org.ID})
		if in != 1 || err != nil || len(list.Members) != 2 {
			t.Errorf("%d joined, %+v, %v", in, list, err)
		}
	})
}

// TestR09_InviteThenSignUp: who has no account makes one with the invited address, and accepts then; another account with the token does
// not. The trail of it names no address and no organisation by its name.
func TestR09_InviteThenSignUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada := r.person(t, "ada@example.com")
		org := r.found(t, ada, "Engines")
		token := r.invite(t, ada, org.ID, "new@example.com", licensing.OrgAdmin)
		fails(t, "the wrong account", r.accept(t, r.person(t, "other@example.com"), token), account.ErrInviteAddress)
		_, err := r.AcceptInvite(as(t, nobody), account.InviteTokenRequest{Token: token})
		fails(t, "nobody", err, licensing.ErrNotFound)
		guest, err := r.Guest(t.Context(), "new@example.com")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.AcceptInvite(as(t, licensing.Actor{Kind: licensing.Customer, ID: string(guest)}), account.InviteTokenRequest{Token: token})
		fails(t, "an address that nobody confirmed", err, account.ErrInviteAddress)
		p := r.person(t, "new@example.com")
		if err := r.accept(t, p, token); err != nil {
			t.Fatal(err)
		}
		r.actFor(t, p, org.ID)
		if a := r.actor(t, p.in.Token); a.OrgRole != licensing.OrgAdmin {
			t.Errorf("%+v", a)
		}
		var told int64
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE (detail LIKE '%example.com%' OR detail LIKE '%Engines%') AND action LIKE 'organisation.%'`).Scan(&told); err != nil || told != 0 {
			t.Errorf("the trail names somebody %d times, %v", told, err)
		}
	})
}

// TestDepart: a person who is to be no more leaves every organisation, with nothing left of invites to the address; an organisation that is
// his alone and owns nothing goes too. Who is the last owner of one with others in it, or with something to its name, is told to hand
// it over first, and nothing has changed.
func TestDepart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		ada, bob := r.person(t, "ada@example.com"), r.person(t, "bob@example.com")
		alone, theirs := r.found(t, ada, "Alone"), r.found(t, bob, "Theirs")
		if err := r.accept(t, ada, r.invite(t, bob, theirs.ID, ada.email, licensing.OrgMember)); err != nil {
			t.Fatal(err)
		}
		third := r.person(t, "eve@example.com")
		invited := r.found(t, third, "Third")
		token := r.invite(t, third, invited.ID, ada.email, licensing.OrgMember)
		depart := func(p joined) error {
			return e.Store.InTx(as(t, operator), func(ctx context.Context) error {
				held, err := e.Store.People().HoldPerson(ctx, p.id)
				if err != nil {
					return err
				}
				if err := r.Depart(ctx, held); err != nil {
					return err
				}
				return r.Audit.Record(ctx, licensing.Event{Action: "test", Target: p.id})
			})
		}
		fails(t, "the last owner of others", depart(bob), account.ErrHandOver)
		r.owners(t, theirs.ID, 1)
		if err := depart(ada); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{alone.ID, theirs.ID} {
			_, err := e.Store.Members().MembershipIn(t.Context(), id, ada.id)
			fails(t, "a membership that is over", err, licensing.ErrNotFound)
		}
		_, err := e.Store.Organisations().OrganisationOf(t.Context(), alone.ID, "")
		fails(t, "an organisation of nobody", err, licensing.ErrNotFound)
		fails(t, "an invite to who is no more", r.accept(t, ada, token), account.ErrInvite)
		if _, err := e.DB.Exec(t.Context(), `INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits, created_at, updated_at)
			VALUES ('key_1', 'staff', 'key_1', $1, 'prod_1', '', '', 'live', '', '[]', '[]', '[]', $2, $2)`, theirs.ID, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		fails(t, "the last owner of what owns a key", depart(bob), account.ErrHandOver)
	})
}
