package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) organisationPages() []site.Page {
	return []site.Page{get("organisations", "/admin/organisations", p.organisations), get("organisation", "/admin/organisations/{id}", p.organisation)}
}

func (p *pages) organisations(v *site.Visit) error {
	f := v.Filter()
	list, err := p.ops.Organisations.Call(v.Ctx(), account.ListOrganisationsRequest{Page: page(v, 25), Query: v.Query("q"), Member: v.Query("member")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	status := http.StatusOK
	if !f.OK() {
		status = http.StatusUnprocessableEntity
	}
	return v.Render(status, organisationsPage(v.Frame("Organisations"), f, list, next(v, list.Next), filtered(v)))
}

// organisationView is what the page of an organisation shows.
type organisationView struct {
	account.OrganisationView
	People account.MembersResponse
}

func (p *pages) organisation(v *site.Visit) error {
	r := account.OrganisationRequest{ID: v.Param("id")}
	o, err := p.ops.Organisation.Call(v.Ctx(), r)
	if err != nil {
		return err
	}
	view := organisationView{OrganisationView: o}
	if view.People, err = p.ops.Members.Call(v.Ctx(), r); err != nil {
		return err
	}
	return v.Show(organisationPage(v.Frame(o.Name, ui.Link{Href: "/admin/organisations", Name: "Organisations"}), view))
}

// ownerName is the name by which people know who owns something: an e-mail address, the name of an organisation; the end of the id for a
// visitor who may not see it.
func (p *pages) ownerName(v *site.Visit, owner licensing.Owner) (string, error) {
	name, err := "", error(nil)
	switch {
	case isOrganisation(owner) && may(v, p.ops.Organisation.Spec()):
		o, failed := p.ops.Organisation.Call(v.Ctx(), account.OrganisationRequest{ID: string(owner)})
		name, err = o.Name, failed
	case owner != "" && !isOrganisation(owner) && may(v, p.ops.Customer.Spec()):
		c, failed := p.ops.Customer.Call(v.Ctx(), account.GetCustomerRequest{ID: string(owner)})
		name, err = c.Email, failed
	}
	if errors.Is(err, licensing.ErrNotFound) {
		err = nil
	}
	if name == "" {
		name = ui.Short(string(owner))
	}
	return name, err
}

// isOrganisation reports whether an owner is an organisation rather than a customer.
func isOrganisation(o licensing.Owner) bool { return strings.HasPrefix(string(o), "org_") }

// ownerHref is the page of whoever owns something.
func ownerHref(o licensing.Owner) string {
	if isOrganisation(o) {
		return "/admin/organisations/" + url.PathEscape(string(o))
	}
	return "/admin/customers/" + url.PathEscape(string(o))
}
