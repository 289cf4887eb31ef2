package org

import (
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// member finds a member of an organisation by the page's address.
func (p *pages) member(v *site.Visit) (whole, account.MemberView, error) {
	w, err := p.load(v)
	if err != nil {
		return w, account.MemberView{}, err
	}
	i := slices.IndexFunc(w.People.Members, func(m account.MemberView) bool { return m.ID == v.Param("member") })
	if i < 0 {
		return w, account.MemberView{}, licensing.ErrNotFound
	}
	return w, w.People.Members[i], nil
}

func (p *pages) role(v *site.Visit) error {
	w, m, err := p.member(v)
	if err != nil {
		return err
	}
	f := v.Form()
	if v.Posted() {
		_, err := p.ops.Role.Call(v.Ctx(), account.MemberRoleRequest{ID: m.ID, Role: licensing.OrgRole(f.Text("role"))})
		if err == nil {
			return v.Go(at(w.ID), "good", called(&m)+" is "+an(licensing.OrgRole(f.Text("role")))+" now.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	f.Default("role", string(m.Role))
	return v.Show(rolePage(v.Frame(called(&m), crumbs(&w.OrganisationView)...), f, w, m))
}

func (p *pages) expel(v *site.Visit) error {
	w, m, err := p.member(v)
	if err != nil {
		return err
	}
	ask := question{"Remove " + called(&m), called(&m) + " no longer sees what " + w.Name + " owns, at once and everywhere. What is on devices already may run on until its license is checked again.", "Remove from the organisation", at(w.ID)}
	return p.step(v, &w.OrganisationView, ask, func() error {
		_, err := p.ops.Remove.Call(v.Ctx(), account.MemberRequest{ID: m.ID})
		return err
	}, at(w.ID), called(&m)+" is no member any more.")
}

// ask invites somebody.
func (p *pages) ask(v *site.Visit) error {
	o, err := p.ops.Get.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f := v.Form()
	f.Default("role", string(licensing.OrgMember))
	if v.Posted() {
		i, err := p.ops.Invite.Call(v.Ctx(), account.InviteRequest{ID: o.ID, Email: f.Text("email"), Role: licensing.OrgRole(f.Text("role"))})
		if err == nil {
			return v.Go(at(o.ID), "good", "The invitation is on its way to "+i.Email+". It works for seven days.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	return v.Show(invitePage(v.Frame("Invite somebody", crumbs(&o)...), f, o))
}

func (p *pages) withdraw(v *site.Visit) error {
	w, err := p.load(v)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(w.People.Invites, func(i account.InviteView) bool { return i.ID == v.Param("invite") })
	if i < 0 {
		return licensing.ErrNotFound
	}
	email := w.People.Invites[i].Email
	ask := question{"Withdraw the invitation", "The link that was mailed to " + email + " stops working. You can invite the address again.", "Withdraw it", at(w.ID)}
	return p.step(v, &w.OrganisationView, ask, func() error {
		_, err := p.ops.Withdraw.Call(v.Ctx(), account.WithdrawInviteRequest{ID: v.Param("invite")})
		return err
	}, at(w.ID), "The invitation of "+email+" is withdrawn.")
}

// answer is what the page of an invite shows.
type answer struct {
	account.InviteShown
	// Mine says that who looks is signed in with the invited address, As with which address otherwise; "" for nobody.
	Mine bool
	As   string
	Path string
}

// invite shows an invite to whoever holds its link, and accepts it for who signed in with its address.
func (p *pages) invite(v *site.Visit) error {
	f := v.Form()
	token := account.InviteTokenRequest{Token: v.Param("token")}
	if v.Posted() && v.Actor.Kind == licensing.Customer {
		o, err := p.ops.Accept.Call(v.Ctx(), token)
		if err == nil {
			return v.Go(at(o.ID), "good", "You are "+an(o.Role)+" of "+o.Name+" now. Act for it to see what it owns.")
		}
		if told := kit.Public(err); told.Code == account.ErrInviteAddress.Code {
			f.Problem = told.Text
		} else if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	shown, err := p.ops.Show.Call(v.Guest(), token)
	if err != nil {
		return err
	}
	a := answer{InviteShown: shown, Path: v.R.URL.Path}
	if v.Actor.Kind == licensing.Customer || v.Actor.Kind == licensing.Staff {
		me, err := p.ops.Me.Call(v.Ctx(), account.MeRequest{})
		if err != nil {
			return err
		}
		a.As, a.Mine = me.Email, me.Email == shown.Email && v.Actor.Kind == licensing.Customer
	}
	return v.Show(answerPage(v.Frame("Join "+shown.Organisation), f, a))
}

// upper is what people type of codes, without space and in capitals.
func upper(s string) string { return strings.ToUpper(strings.ReplaceAll(s, " ", "")) }

// called is how a member is called.
func called(m *account.MemberView) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Email
}

// an is a role as a sentence has it.
func an(r licensing.OrgRole) string {
	switch r {
	case licensing.OrgOwner:
		return "an owner"
	case licensing.OrgAdmin:
		return "an admin"
	}
	return "a member"
}

// may says what a role is for.
func may(r licensing.OrgRole) string {
	switch r {
	case licensing.OrgOwner:
		return "You do everything an admin does, and give roles."
	case licensing.OrgAdmin:
		return "You buy for it, change what it owns, and invite and remove members."
	}
	return "You see and download what it owns, and ask for help."
}

// roles are the choices of somebody with the role mine.
func roles(mine licensing.OrgRole) []ui.Option {
	out := []ui.Option{{Value: "member", Name: "Member"}}
	if mine == licensing.OrgOwner {
		out = append(out, ui.Option{Value: "admin", Name: "Admin"}, ui.Option{Value: "owner", Name: "Owner"})
	}
	return out
}

// rolesHelp says what each of the choices is for.
func rolesHelp(mine licensing.OrgRole) string {
	if mine != licensing.OrgOwner {
		return "Members see and download what it owns, and ask for help. Owners give other roles."
	}
	return "Members see and download what it owns. Admins buy for it, change what it owns and invite members as well. Owners give roles as well."
}

// leads reports whether the role changes the organisation.
func leads(r licensing.OrgRole) bool { return r == licensing.OrgOwner || r == licensing.OrgAdmin }

// removes reports whether who looks may remove a member: not himself, who leaves instead.
func (w *whole) removes(m *account.MemberView) bool {
	return m.Person != w.Me.ID && (w.Role == licensing.OrgOwner || w.Role == licensing.OrgAdmin && m.Role == licensing.OrgMember)
}

// tone is the colour of a role.
func tone(r licensing.OrgRole) string {
	if r == licensing.OrgOwner {
		return "good"
	}
	return ""
}

// title is a role on its own.
func title(r licensing.OrgRole) string { return strings.ToUpper(string(r[:1])) + string(r[1:]) }
