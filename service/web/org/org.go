// Package org is where customers look after their organisations: making one, saying for whom they act, members with their roles, inviting
// and answering invites. What cannot be undone is asked for on a page of its own first.
package org

import (
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// operations are what the pages of organisations call.
type operations struct {
	List     kit.Op[account.ListOrganisationsRequest, licensing.List[account.OrganisationView]] `op:"organisation.list"`
	Get      kit.Op[account.OrganisationRequest, account.OrganisationView]                      `op:"organisation.get"`
	Members  kit.Op[account.OrganisationRequest, account.MembersResponse]                       `op:"organisation.members"`
	Create   kit.Op[account.CreateOrganisationRequest, account.OrganisationView]                `op:"organisation.create"`
	Update   kit.Op[account.UpdateOrganisationRequest, account.OrganisationView]                `op:"organisation.update"`
	Delete   kit.Op[account.OrganisationRequest, account.OrganisationGone]                      `op:"organisation.delete"`
	Leave    kit.Op[account.LeaveRequest, account.OrganisationGone]                             `op:"organisation.leave"`
	Role     kit.Op[account.MemberRoleRequest, account.MemberChanged]                           `op:"organisation.role"`
	Remove   kit.Op[account.MemberRequest, account.MemberChanged]                               `op:"organisation.remove"`
	Invite   kit.Op[account.InviteRequest, account.InviteView]                                  `op:"organisation.invite"`
	Withdraw kit.Op[account.WithdrawInviteRequest, account.InviteView]                          `op:"organisation.invite-withdraw"`
	Show     kit.Op[account.InviteTokenRequest, account.InviteShown]                            `op:"organisation.invite-show"`
	Accept   kit.Op[account.InviteTokenRequest, account.OrganisationView]                       `op:"organisation.accept"`
	ActFor   kit.Op[account.ActForRequest, account.ActForResponse]                              `op:"session.act-for"`
	Me       kit.Op[account.MeRequest, account.MeResponse]                                      `op:"account.me"`
}

type pages struct{ ops operations }

const home = "/account/organisation"

// Pages are the pages of organisations.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{}
	out := []site.Page{
		{Name: "page.org_list", Pattern: "GET " + home, For: site.Customers, Serve: p.list},
		{Name: "page.org", Pattern: "GET " + home + "/{id}", For: site.Customers, Serve: p.show},
		{Name: "page.org_act", Pattern: "POST /account/acting", For: site.Customers, Serve: p.act},
		{Name: "page.invite", Pattern: "GET /invite/{token}", Secret: true, Serve: p.invite},
		{Name: "page.invite_send", Pattern: "POST /invite/{token}", Secret: true, Serve: p.invite},
	}
	both := func(name, path string, serve func(*site.Visit) error) {
		out = append(out, site.Page{Name: "page.org_" + name, Pattern: "GET " + home + path, For: site.Customers, Serve: serve},
			site.Page{Name: "page.org_" + name + "_send", Pattern: "POST " + home + path, For: site.Customers, Serve: serve})
	}
	both("new", "/new", p.create)
	both("edit", "/{id}/edit", p.edit)
	both("ask", "/{id}/invite", p.ask)
	both("leave", "/{id}/leave", p.leave)
	both("delete", "/{id}/delete", p.remove)
	both("member", "/{id}/members/{member}", p.role)
	both("member_remove", "/{id}/members/{member}/remove", p.expel)
	both("withdraw", "/{id}/invites/{invite}/withdraw", p.withdraw)
	return out, kit.Fill(s.Routes, &p.ops)
}

func (p *pages) list(v *site.Visit) error {
	list, err := p.ops.List.Call(v.Ctx(), account.ListOrganisationsRequest{Page: licensing.Page{Limit: 50}})
	if err != nil {
		return err
	}
	return v.Show(listPage(v.Frame("Organisation"), list.Items))
}

// crumbs lead back from what is below an organisation.
func crumbs(o *account.OrganisationView) []ui.Link {
	out := []ui.Link{{Href: home, Name: "Organisation"}}
	if o != nil {
		out = append(out, ui.Link{Href: at(o.ID), Name: o.Name})
	}
	return out
}

// at is the address of what belongs to an organisation.
func at(id string, below ...string) string {
	out := home + "/" + id
	for _, b := range below {
		out += "/" + b
	}
	return out
}

// whole is an organisation with everybody in it.
type whole struct {
	account.OrganisationView
	People account.MembersResponse
	// Me is who looks.
	Me licensing.Actor
}

func (p *pages) load(v *site.Visit) (w whole, err error) {
	w.Me = v.Actor
	if w.OrganisationView, err = p.ops.Get.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")}); err != nil {
		return w, err
	}
	w.People, err = p.ops.Members.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	return w, err
}

func (p *pages) show(v *site.Visit) error {
	w, err := p.load(v)
	if err != nil {
		return err
	}
	return v.Show(showPage(v.Frame(w.Name, crumbs(nil)...), w))
}

// act says for whom the session acts from now on.
func (p *pages) act(v *site.Visit) error {
	to := v.Form().Text("organisation")
	out, err := p.ops.ActFor.Call(v.Ctx(), account.ActForRequest{Organisation: &to})
	switch {
	case licensing.KindOf(err) == licensing.NotFound:
		return v.Go(home, "bad", "You are no member of that organisation any more.")
	case err != nil:
		return err
	case out.Organisation == "":
		return v.Go("/account", "good", "You act for yourself again.")
	}
	return v.Go("/account", "good", "You act for "+out.Name+" now. What you see and buy is the organisation's.")
}

// fields are what the form says of an organisation.
func fields(f *ui.Form) account.OrganisationFields {
	return account.OrganisationFields{Name: f.Text("name"), BillingEmail: f.Text("billing_email"), Country: upper(f.Text("country")), VATID: upper(f.Text("vat_id"))}
}

func (p *pages) create(v *site.Visit) error {
	f := v.Form()
	if v.Posted() {
		o, err := p.ops.Create.Call(v.Ctx(), account.CreateOrganisationRequest{OrganisationFields: fields(f)})
		if err == nil {
			return v.Go(at(o.ID), "good", o.Name+" is made. Invite your colleagues, and act for it to buy for it.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	return v.Show(formPage(v.Frame("New organisation", crumbs(nil)...), f, "An organisation owns what is bought for it, whoever comes and goes.", "Make the organisation"))
}

func (p *pages) edit(v *site.Visit) error {
	o, err := p.ops.Get.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f := v.Form()
	if v.Posted() {
		_, err := p.ops.Update.Call(v.Ctx(), account.UpdateOrganisationRequest{ID: o.ID, OrganisationFields: fields(f)})
		if err == nil {
			return v.Go(at(o.ID), "good", "The details are changed. Orders of before keep those of then.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	f.Default("name", o.Name)
	f.Default("billing_email", o.BillingEmail)
	f.Default("country", o.Country)
	f.Default("vat_id", o.VATID)
	return v.Show(formPage(v.Frame("Details of "+o.Name, crumbs(&o)...), f, "", "Save the details"))
}

// step asks before something is done to an organisation, and does it. done says where to go then.
func (p *pages) step(v *site.Visit, o *account.OrganisationView, ask question, do func() error, to, done string) error {
	f := v.Form()
	if v.Posted() {
		err := do()
		if err == nil {
			return v.Go(to, "good", done)
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	return v.Show(askPage(v.Frame(ask.Title, crumbs(o)...), f, v.R.URL.Path, ask))
}

// question is what is asked before something is done.
type question struct{ Title, What, Button, Back string }

func (p *pages) leave(v *site.Visit) error {
	o, err := p.ops.Get.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	ask := question{"Leave " + o.Name, "You no longer see what it owns, and somebody has to invite you to come back. What is your own stays.", "Leave", at(o.ID)}
	return p.step(v, &o, ask, func() error {
		_, err := p.ops.Leave.Call(v.Ctx(), account.LeaveRequest{ID: o.ID})
		return err
	}, home, "You have left "+o.Name+".")
}

func (p *pages) remove(v *site.Visit) error {
	o, err := p.ops.Get.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	ask := question{"Remove " + o.Name, "The organisation, its members and its invitations go for good. That works only as long as nothing was bought for it.", "Remove it", at(o.ID)}
	return p.step(v, &o, ask, func() error {
		_, err := p.ops.Delete.Call(v.Ctx(), account.OrganisationRequest{ID: o.ID})
		return err
	}, home, o.Name+" is removed.")
}
