package meter

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// overview are the operations of the pages that show everything somebody uses.
type overview struct {
	Overview     kit.Op[usage.OverviewRequest, usage.OverviewResponse]         `op:"usage.overview"`
	Customer     kit.Op[account.GetCustomerRequest, account.CustomerView]      `op:"customer.get"`
	Organisation kit.Op[account.OrganisationRequest, account.OrganisationView] `op:"organisation.get"`
}

// overviews are the pages that show everything a customer or organisation uses.
func (p *pages) overviews() []site.Page {
	return []site.Page{
		{Name: "page.usage_all_mine", Pattern: "GET /account/usage", For: site.Customers, Serve: p.mine},
		{Name: "page.usage_all", Pattern: "GET /admin/customers/{id}/usage", For: site.Staff, Serve: p.ofCustomer},
		{Name: "page.usage_all_organisation", Pattern: "GET /admin/organisations/{id}/usage", For: site.Staff, Serve: p.ofOrganisation},
	}
}

// mine shows customers everything that they, or the organisation that they act for, use.
func (p *pages) mine(v *site.Visit) error {
	whose := "your licenses and API keys"
	if v.Actor.OrgName != "" {
		whose = "the licenses and API keys of " + v.Actor.OrgName
	}
	return p.everything(v, mine, "", whose, v.Frame("Usage"))
}

func (p *pages) ofCustomer(v *site.Visit) error {
	c, err := p.all.Customer.Call(v.Ctx(), account.GetCustomerRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return p.everything(v, desk, licensing.Owner(c.ID), "the licenses and API keys of "+c.Email, v.Frame("Usage", ui.Link{Href: "/admin/customers", Name: "Customers"}, ui.Link{Href: "/admin/customers/" + c.ID, Name: c.Email}))
}

func (p *pages) ofOrganisation(v *site.Visit) error {
	o, err := p.all.Organisation.Call(v.Ctx(), account.OrganisationRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return p.everything(v, desk, licensing.Owner(o.ID), "the licenses and API keys of "+o.Name, v.Frame("Usage", ui.Link{Href: "/admin/organisations", Name: "Organisations"}, ui.Link{Href: "/admin/organisations/" + o.ID, Name: o.Name}))
}

func (p *pages) everything(v *site.Visit, e end, owner licensing.Owner, whose string, f ui.Frame) error {
	got, err := p.all.Overview.Call(v.Ctx(), usage.OverviewRequest{Owner: owner, Page: licensing.Page{Cursor: v.Query("cursor")}})
	if err != nil {
		return err
	}
	more := ""
	if got.Next != "" {
		more = v.R.URL.Path + "?cursor=" + url.QueryEscape(got.Next)
	}
	return v.Show(everythingPage(f, e, whose, &got, more))
}

// called is what a license or key is called, and what it is.
func called(c *usage.CarrierUsage) (name, what string) {
	product := c.ProductName
	if product == "" {
		product = ui.Short(c.Product)
	}
	of := product
	if c.Plan != "" {
		of += ", " + c.Plan
	}
	if strings.HasPrefix(c.ID, "key_") {
		if c.Name == "" {
			return "API key " + ui.Short(c.ID), "API key for " + of
		}
		return c.Name, "API key for " + of
	}
	if name = of; c.Name != "" {
		return name, "License for " + c.Name
	}
	return name, "License " + ui.Short(c.ID)
}

// address is where a meter of a license or key is looked at; without a meter, all of it.
func (e end) address(c *usage.CarrierUsage, meter string) string {
	at := e.under + "/usage/" + url.PathEscape(c.ID)
	if meter != "" {
		at += "/" + url.PathEscape(meter)
	}
	return at
}

// happened reports whether anything was counted in the days that are shown.
func happened(m *usage.MeterUsage) bool {
	return m.Value != 0 || slices.ContainsFunc(m.Days, func(n int64) bool { return n != 0 })
}

// lately says what was counted of a meter in the days that are shown.
func lately(m *usage.MeterUsage) string {
	if !happened(m) {
		return "nothing in " + strconv.Itoa(usage.OverviewDays) + " days"
	}
	switch n := amount(m.Value, m.Unit); m.Kind {
	case usage.KindMax:
		return n + " at most in " + strconv.Itoa(usage.OverviewDays) + " days"
	case usage.KindUnique:
		return n + " at most on one day"
	case usage.KindLast:
		return n + " at last"
	default:
		return n + " in " + strconv.Itoa(usage.OverviewDays) + " days"
	}
}

// drawn says in words what the small chart of a meter shows.
func drawn(m *usage.MeterUsage, from time.Time) string {
	most := 0
	for i, n := range m.Days {
		if n > m.Days[most] {
			most = i
		}
	}
	return meterName(m) + " by day, " + lately(m) + "; the highest bar is " + amount(m.Days[most], m.Unit) + " on " + ui.Day(from.AddDate(0, 0, most))
}

func meterName(m *usage.MeterUsage) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Meter
}

// left says how much of a quota is left and until when.
func left(q *usage.QuotaLeft, unit string) string {
	out := amount(q.Used, unit) + " of " + ui.Number(q.Quota) + " used, " + ui.Number(q.Left) + " left"
	if q.Ends == nil {
		return out + " for the whole term"
	}
	return out + " until it starts anew on " + ui.When(*q.Ends)
}
