package shop

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// buying is what the form of a purchase shows.
type buying struct {
	Item  catalog.Item
	Plan  catalog.ItemPlan
	Offer catalog.Offer
	// Renews is the customer's license that is renewed, nil when a new one is bought.
	Renews *license.View
	// Guest asks for an e-mail address.
	Guest bool
	// Shut says that who looks acts for an organisation that others buy for.
	Shut bool
}

// buy shows the form of a purchase and, once it is sent, leads to the payment page; a plan that costs nothing leads to its order.
func (p *pages) buy(v *site.Visit) error {
	item, err := p.ops.Show.Call(v.Guest(), catalog.ShowRequest{Slug: v.Param("slug")})
	if err != nil {
		return err
	}
	f := v.Form()
	code, currency := v.Query("plan"), chosen(v, item)
	b := buying{Item: item, Guest: v.Actor.Kind != licensing.Customer}
	at := slices.IndexFunc(item.Plans, func(plan catalog.ItemPlan) bool { return plan.Code == code })
	if at < 0 {
		return v.Go("/catalogue/"+item.Slug, "wait", "This plan is not for sale any more. These are the plans there are.")
	}
	b.Plan = item.Plans[at]
	var sold bool
	if b.Offer, sold = offer(b.Plan, currency); !sold {
		return v.Go("/catalogue/"+item.Slug, "wait", "This plan is not sold in that currency. These are the plans there are.")
	}
	if id := v.Query("renew"); id != "" {
		l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id})
		if err != nil {
			return err
		}
		b.Renews = &l
	}
	b.Shut = v.Actor.OrgRole == licensing.OrgMember
	f.Default("quantity", "1")
	f.Default("for", v.Actor.Org)
	f.Default("price", b.Offer.ID)
	if !v.Posted() && v.Actor.Org != "" {
		if err := p.prefill(v, f); err != nil {
			return err
		}
	}
	if !v.Posted() || b.Shut {
		return v.Show(buyPage(v.Frame(b.title()), f, b))
	}
	r := checkout.CreateRequest{Lines: []checkout.LineRequest{{Plan: b.Plan.ID, Quantity: f.Int("quantity", 1), Price: f.Text("price")}}, Currency: currency,
		Country: strings.ToUpper(f.Text("country")), VATID: strings.ToUpper(strings.ReplaceAll(f.Text("vat_id"), " ", "")),
		Consent: checkout.Consent{Terms: f.Has("terms"), ImmediateDelivery: f.Has("delivery")}}
	if b.Renews != nil {
		r.Lines[0].Renews = b.Renews.ID
	}
	if b.Guest {
		r.Email = f.Text("email")
		if r.Email == "" {
			f.Wrong("email", "is needed: the license and the receipt go there")
		}
	}
	if f.Text("for") != v.Actor.Org {
		f.Problem = "Since you opened this page you have changed for whom you act. It now says for whom you buy; send the form again if you agree."
		f.Values.Set("for", v.Actor.Org)
	}
	if !f.Has("terms") {
		f.Wrong("terms", "please agree to the terms of sale")
	}
	if !f.Has("delivery") {
		f.Wrong("delivery", "please agree, so that you get the key at once")
	}
	if !f.OK() {
		return v.Show(buyPage(v.Frame(b.title()), f, b))
	}
	out, err := p.ops.Create.Call(v.As(buyer(v.Actor)), r)
	if other := f.Refuse(err, map[string]string{"/lines/0/quantity": "quantity", "/lines/0/price": "price", "/lines/0/renews": "renews", "/consent/terms": "terms", "/consent/immediate_delivery": "delivery"}); other != nil {
		return other
	}
	if err != nil {
		if f.Errors["price"] != "" {
			f.Problem = "The price has changed since you opened this page. It now says the new one; send the form again if you agree."
			f.Values.Set("price", b.Offer.ID)
			delete(f.Errors, "price")
		}
		if why := f.Errors["renews"]; why != "" {
			f.Problem = "This license is not renewed here: it " + why + ". Write to us, and we look into it."
			delete(f.Errors, "renews")
		}
		return v.Show(buyPage(v.Frame(b.title()), f, b))
	}
	p.remember(v, out)
	if out.URL == "" {
		return v.Go("/checkout/"+out.ID, "", "")
	}
	return v.Leave(out.URL)
}

// title is what the page is called.
func (b buying) title() string {
	if b.Renews != nil {
		return "Renew " + b.Item.Name
	}
	return "Buy " + b.Item.Name
}

// prefill fills in what is known of the organisation that the visitor buys for.
func (p *pages) prefill(v *site.Visit, f *ui.Form) error {
	o, err := p.ops.Organisation.Call(v.Ctx(), account.OrganisationRequest{ID: v.Actor.Org})
	if licensing.KindOf(err) == licensing.NotFound {
		return nil // left meanwhile
	}
	f.Default("country", o.Country)
	f.Default("vat_id", o.VATID)
	return err
}

// buyer is who buys: the customer, or for everybody else a guest. Staff who try their own shop buy as guests too.
func buyer(a licensing.Actor) licensing.Actor {
	if a.Kind == licensing.Customer {
		return a
	}
	return licensing.Actor{Kind: licensing.Anonymous}
}

// orderCookie keeps the access code of an order in the browser that bought it, so that the page after the payment shows the keys at once.
const orderCookie = "mintreu-order"

// remember keeps an order's access code for the browser, for a day and for the order's page alone.
func (p *pages) remember(v *site.Visit, c checkout.Checkout) {
	if c.Access == "" {
		return
	}
	http.SetCookie(v.W, &http.Cookie{Name: orderCookie, Value: c.Access, Path: "/checkout/" + c.ID, MaxAge: int((24 * time.Hour).Seconds()),
		Secure: strings.HasPrefix(p.site.BaseURL, "https://"), HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// total is what the chosen quantity costs together.
func (b buying) total(f *ui.Form) string {
	n := f.Int("quantity", 1)
	if n < 1 || n > 100 || b.Offer.Price.Minor > 1<<40 {
		return price(b.Offer)
	}
	sum := b.Offer
	sum.Price.Minor *= n
	return price(sum)
}
