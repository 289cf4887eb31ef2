package admin

import (
	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) customerPages() []site.Page {
	back := to("/admin/customers/{id}", "Customer")
	request := func(id, reason string) account.DisableRequest { return account.DisableRequest{ID: id, Reason: reason} }
	return append([]site.Page{get("customers", "/admin/customers", p.customers), get("customer", "/admin/customers/{id}", p.customer)}, p.asked(
		action{name: "customer_disable", path: "/admin/customers/{id}/disable", spec: p.ops.DisableCustomer.Spec(), reason: true, back: back,
			title: "Keep the customer from signing in", button: "Disable the account", done: "The account is disabled.",
			what: "Every session of theirs ends within two seconds, and they cannot sign in until the account is enabled again. Their licenses go on.",
			do:   plain(func() op[account.DisableRequest, account.CustomerView] { return p.ops.DisableCustomer }, request)},
		action{name: "customer_enable", path: "/admin/customers/{id}/enable", spec: p.ops.EnableCustomer.Spec(), reason: true, calm: true, back: back,
			title: "Let the customer sign in again", button: "Enable the account", done: "The customer can sign in again.",
			what: "They can sign in again as before.",
			do:   plain(func() op[account.DisableRequest, account.CustomerView] { return p.ops.EnableCustomer }, request)},
		action{name: "customer_look", path: "/admin/customers/{id}/look", spec: p.ops.Impersonate.Spec(), reason: true, calm: true, back: back,
			title: "Look at the account", button: "Look for 15 minutes",
			what: "You see their pages as they do, change nothing, and see no secret. It ends by itself after 15 minutes, or when you sign out; that you looked, and why, is kept in the audit trail.",
			do: func(v *site.Visit, id, reason string) (templ.Component, error) {
				out, err := p.ops.Impersonate.Call(v.Ctx(), account.ImpersonateRequest{ID: id, Reason: reason})
				if err != nil {
					return nil, err
				}
				// The renewal of one's own session stays, so that one is oneself again when this one is over.
				if err := v.SignIn(account.SignInResponse{Token: out.Token}); err != nil {
					return nil, err
				}
				return lookingPage(v.Frame("You look at an account")), nil
			}})...)
}

func (p *pages) customers(v *site.Visit) error {
	list, err := p.ops.Customers.Call(v.Ctx(), account.ListCustomersRequest{Page: page(v, 25), Q: v.Query("q")})
	if err != nil {
		return err
	}
	return v.Show(customersPage(v.Frame("Customers"), v.Filter(), list, next(v, list.Next), filtered(v)))
}

// customerView is what the page of a customer shows.
type customerView struct {
	account.CustomerView
	Orders   []order.View
	Licenses []license.View
	// What the visitor may do.
	Disable, Look bool
}

func (p *pages) customer(v *site.Visit) error {
	c, err := p.ops.Customer.Call(v.Ctx(), account.GetCustomerRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view := customerView{CustomerView: c, Disable: may(v, p.ops.DisableCustomer.Spec()) && c.ID != v.Actor.ID, Look: may(v, p.ops.Impersonate.Spec()) && c.Role == "" && c.DisabledAt == nil}
	few := licensing.Page{Limit: 10}
	if may(v, p.ops.Orders.Spec()) {
		orders, err := p.ops.Orders.Call(v.Ctx(), order.ListRequest{Page: few, Owner: licensing.Owner(c.ID)})
		if err != nil {
			return err
		}
		view.Orders = orders.Items
	}
	licenses, err := p.ops.Licenses.Call(v.Ctx(), license.ListRequest{Page: few, Owner: c.ID})
	if err != nil {
		return err
	}
	view.Licenses = licenses.Items
	return v.Show(customerPage(v.Frame(c.Email, ui.Link{Href: "/admin/customers", Name: "Customers"}), view))
}

// standing is how an account stands, in a word.
func standing(c account.CustomerView) string {
	switch {
	case c.DisabledAt != nil:
		return "disabled"
	case c.ConfirmedAt == nil:
		return "guest"
	}
	return "active"
}
