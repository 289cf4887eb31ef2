// Package shop is what visitors see of the shop: its home page, the catalogue, each product, the way to the payment page, and the page
// of an order with its keys.
package shop

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
)

// operations are what the pages of the shop call.
type operations struct {
	Browse       kit.Op[catalog.BrowseRequest, licensing.List[catalog.Item]]   `op:"catalog.browse"`
	Show         kit.Op[catalog.ShowRequest, catalog.Item]                     `op:"catalog.show"`
	Create       kit.Op[checkout.CreateRequest, checkout.Checkout]             `op:"checkout.create"`
	License      kit.Op[license.GetRequest, license.View]                      `op:"license.get"`
	Trial        kit.Op[license.TrialRequest, license.View]                    `op:"trial.start"`
	Get          kit.Op[checkout.GetRequest, checkout.Checkout]                `op:"checkout.get"`
	Receipt      kit.Op[checkout.ReceiptRequest, checkout.ReceiptFile]         `op:"checkout.receipt"`
	Credit       kit.Op[checkout.CreditNoteRequest, checkout.ReceiptFile]      `op:"checkout.credit-note"`
	Resend       kit.Op[checkout.ResendRequest, checkout.ResendResponse]       `op:"checkout.resend"`
	Reveal       kit.Op[checkout.RevealRequest, checkout.Revealed]             `op:"checkout.reveal"`
	Organisation kit.Op[account.OrganisationRequest, account.OrganisationView] `op:"organisation.get"`
}

type pages struct {
	ops  operations
	site *site.Site
}

// Pages are the pages of the shop.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	return []site.Page{
		{Name: "page.home", Pattern: "GET /{$}", Serve: p.home},
		{Name: "page.catalogue", Pattern: "GET /catalogue", Serve: p.catalogue},
		{Name: "page.product", Pattern: "GET /catalogue/{slug}", Serve: p.product},
		{Name: "page.trial", Pattern: "GET /catalogue/{slug}/trial", For: site.Customers, Serve: p.trial},
		{Name: "page.trial_send", Pattern: "POST /catalogue/{slug}/trial", For: site.Customers, Serve: p.trial},
		{Name: "page.buy", Pattern: "GET /buy/{slug}", Serve: p.buy},
		{Name: "page.buy_send", Pattern: "POST /buy/{slug}", Serve: p.buy},
		{Name: "page.order", Pattern: "GET /checkout/{id}", Secret: true, Serve: p.order},
		{Name: "page.order_document", Pattern: "GET /checkout/{id}/{document}", Secret: true, Serve: p.document},
		{Name: "page.lost_keys", Pattern: "GET /lost-keys", Serve: p.lostKeys},
		{Name: "page.lost_keys_send", Pattern: "POST /lost-keys", Serve: p.lostKeys},
		{Name: "page.order_reveal", Pattern: "POST /checkout/{id}", Secret: true, Serve: p.reveal},
	}, kit.Fill(s.Routes, &p.ops)
}

func (p *pages) home(v *site.Visit) error {
	items, err := p.ops.Browse.Call(v.Guest(), catalog.BrowseRequest{Page: licensing.Page{Limit: 6}})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, homePage(v.Frame("Home"), items))
}

func (p *pages) catalogue(v *site.Visit) error {
	r := catalog.BrowseRequest{Query: v.Query("q"), Type: catalog.PlanType(v.Query("type")), Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 24}}
	f := v.Filter()
	items, err := p.ops.Browse.Call(v.Guest(), r)
	if err := f.Refuse(err, nil); err != nil {
		return err
	}
	return v.Render(http.StatusOK, cataloguePage(v.Frame("Catalogue"), f, items, r))
}

func (p *pages) product(v *site.Visit) error {
	item, err := p.ops.Show.Call(v.Guest(), catalog.ShowRequest{Slug: v.Param("slug")})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, productPage(v.Frame(item.Name), item, chosen(v, item)))
}

// chosen is the currency that a visitor looks at prices in: the one asked for, or the first that the product is sold in.
func chosen(v *site.Visit, item catalog.Item) money.Currency {
	all := currencies(item)
	if asked := money.Currency(strings.ToUpper(v.Query("currency"))); slices.Contains(all, asked) {
		return asked
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// currencies are those that a product is sold in.
func currencies(item catalog.Item) []money.Currency {
	var out []money.Currency
	for _, plan := range item.Plans {
		for _, o := range plan.Prices {
			if !slices.Contains(out, o.Price.Currency) {
				out = append(out, o.Price.Currency)
			}
		}
	}
	slices.Sort(out)
	return out
}

// offer is a plan's price in a currency, and false when it is not sold in it.
func offer(plan catalog.ItemPlan, c money.Currency) (catalog.Offer, bool) {
	i := slices.IndexFunc(plan.Prices, func(o catalog.Offer) bool { return o.Price.Currency == c })
	if i < 0 {
		return catalog.Offer{}, false
	}
	return plan.Prices[i], true
}

// from is the least price of a product in the currency it is shown in, "" when nothing of it is sold.
func from(item catalog.Item) string {
	all := currencies(item)
	if len(all) == 0 {
		return ""
	}
	var least catalog.Offer
	n := 0
	for _, plan := range item.Plans {
		if o, ok := offer(plan, all[0]); ok {
			if n == 0 || o.Price.Minor < least.Price.Minor {
				least = o
			}
			n++
		}
	}
	text := price(least)
	if n > 1 {
		text = "from " + text
	}
	return text
}

// price is what an offer costs, for people.
func price(o catalog.Offer) string {
	if o.Price.Minor == 0 {
		return "Free"
	}
	switch o.Period {
	case "month":
		return o.Price.String() + " a month"
	case "year":
		return o.Price.String() + " a year"
	}
	return o.Price.String()
}

// term is the kind of a plan in words.
func term(t catalog.PlanType) string {
	switch t {
	case catalog.Perpetual:
		return "Yours for good"
	case catalog.Timed:
		return "For a limited time"
	case catalog.Subscription:
		return "Subscription"
	case catalog.Trial:
		return "Trial"
	}
	return string(t)
}
