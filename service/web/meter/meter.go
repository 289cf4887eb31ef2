// Package meter has the pages of usage: which meters count something, their numbers over time and who used most, as a chart, a list and a
// file. Customers see their licenses and keys, staff everything; both look at the same pages under their own addresses.
package meter

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// operations are what these pages call.
type operations struct {
	Glance   kit.Op[usage.GlanceRequest, usage.GlanceResponse]                        `op:"usage.glance"`
	Query    kit.Op[usage.QueryRequest, usage.QueryResponse]                          `op:"usage.query"`
	Top      kit.Op[usage.TopRequest, usage.TopResponse]                              `op:"usage.top"`
	Products kit.Op[catalog.ListProductsRequest, licensing.List[catalog.ProductView]] `op:"product.list"`
	Set      kit.Op[usage.ThresholdsRequest, usage.ThresholdsView]                    `op:"usage.set-thresholds"`
}

type pages struct {
	site *site.Site
	ops  operations
	all  overview
}

// Pages are those of usage, for customers and for staff.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	out := []site.Page{{Name: "page.usage_products", Pattern: "GET /admin/usage", For: site.Staff, Serve: p.products}}
	for _, e := range []struct {
		end
		suffix string
		For    site.Audience
	}{{mine, "_mine", site.Customers}, {desk, "", site.Staff}} {
		out = append(out,
			site.Page{Name: "page.usage" + e.suffix, Pattern: "GET " + e.under + "/usage/{id}", For: e.For, Serve: p.glance(e.end)},
			site.Page{Name: "page.usage_meter" + e.suffix, Pattern: "GET " + e.under + "/usage/{id}/{meter}", For: e.For, Serve: p.meter(e.end)},
			site.Page{Name: "page.usage_alerts" + e.suffix, Pattern: "GET " + e.under + "/usage/{id}/{meter}/alerts", For: e.For, Serve: p.alerts(e.end)},
			site.Page{Name: "page.usage_alerts_send" + e.suffix, Pattern: "POST " + e.under + "/usage/{id}/{meter}/alerts", For: e.For, Serve: p.alerts(e.end)},
			site.Page{Name: "page.usage_file" + e.suffix, Pattern: "GET " + e.under + "/usage/{id}/{meter}/usage.csv", For: e.For, Serve: p.file(e.end)})
	}
	return append(out, p.overviews()...), errors.Join(kit.Fill(s.Routes, &p.ops), kit.Fill(s.Routes, &p.all))
}

// end is who looks: where links lead to, and how pages are framed.
type end struct {
	staff bool
	under string // of addresses
}

var (
	mine = end{under: "/account"}
	desk = end{staff: true, under: "/admin"}
)

// thing is what usage is looked at of: a license, an API key, or for staff a product.
type thing struct {
	ID   string
	Env  string // of a product
	Name string // in a heading: "this license"
	Path string // of its usage
	Of   ui.Link
	Up   []ui.Link
}

// product reports whether it is a product, which has licenses and keys that use it.
func (t *thing) product() bool { return strings.HasPrefix(t.ID, "prod_") }

// at is an address below the thing's usage, in its environment.
func (t *thing) at(rest string, q url.Values) string {
	if t.Env == string(licensing.Test) {
		q.Set("env", t.Env)
	}
	if len(q) == 0 {
		return t.Path + rest
	}
	return t.Path + rest + "?" + q.Encode()
}

// named is the thing that an address names.
func (e end) named(v *site.Visit) (*thing, error) {
	id := v.Param("id")
	t := &thing{ID: id, Path: e.under + "/usage/" + url.PathEscape(id)}
	kind, _, _ := strings.Cut(id, "_")
	switch {
	case kind == "lic":
		t.Name, t.Of, t.Up = "license", ui.Link{Href: e.under + "/licenses/" + id, Name: "License"}, []ui.Link{{Href: e.under + "/licenses", Name: "Licenses"}}
	case kind == "key":
		t.Name, t.Of, t.Up = "API key", ui.Link{Href: e.under + "/keys/" + id, Name: "API key"}, []ui.Link{{Href: e.under + "/keys", Name: "API keys"}}
	case kind == "prod" && e.staff:
		t.Name, t.Of, t.Up = "product", ui.Link{Href: "/admin/products/" + id, Name: "Product"}, []ui.Link{{Href: "/admin/usage", Name: "Usage"}}
		if t.Env = string(licensing.Live); v.Query("env") == string(licensing.Test) {
			t.Env = string(licensing.Test)
		}
	default:
		return nil, licensing.ErrNotFound
	}
	return t, nil
}

// products leads staff to the usage of a product.
func (p *pages) products(v *site.Visit) error {
	list, err := p.ops.Products.Call(v.Ctx(), catalog.ListProductsRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
	if err != nil {
		return err
	}
	more := ""
	if list.Next != "" {
		more = "/admin/usage?cursor=" + url.QueryEscape(list.Next)
	}
	return v.Show(productsPage(v.Frame("Usage"), list.Items, more))
}

// glance shows what is counted at all.
func (p *pages) glance(e end) func(*site.Visit) error {
	return func(v *site.Visit) error {
		t, err := e.named(v)
		if err != nil {
			return err
		}
		r := usage.GlanceRequest{Carrier: t.ID}
		if t.product() {
			r = usage.GlanceRequest{Product: t.ID, Env: t.Env}
		}
		got, err := p.ops.Glance.Call(v.Ctx(), r)
		if err != nil {
			return err
		}
		return v.Show(glancePage(v.Frame("Usage", append(t.Up, t.Of)...), e, t, &got))
	}
}

// stretch is a length of time that a page shows, in windows of which a chart has room for all.
type stretch struct{ code, name, window string }

var stretches = []stretch{
	{"day", "24 hours", "hour"}, {"week", "7 days", "day"}, {"month", "30 days", "day"}, {"quarter", "90 days", "day"}, {"year", "12 months", "month"},
}

// from is where the stretch that ends at an instant begins: with a whole window.
func (s *stretch) from(to time.Time) time.Time {
	day := time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, to.Location())
	switch s.code {
	case "day":
		return to.Add(-23 * time.Hour)
	case "week":
		return day.AddDate(0, 0, -6)
	case "quarter":
		return day.AddDate(0, 0, -89)
	case "year":
		return time.Date(to.Year(), to.Month()-11, 1, 0, 0, 0, 0, to.Location())
	}
	return day.AddDate(0, 0, -29)
}

// look is how a meter is looked at.
type look struct {
	stretch
	By   string // "" over time, otherwise what consumers are told apart by
	Zone *time.Location
	usage.Of
}

// looked is what an address says of it; what it says wrongly is as if it said nothing.
func (p *pages) looked(v *site.Visit, t *thing) *look {
	l := &look{stretch: stretches[2], Zone: time.UTC, Of: usage.Of{Meter: v.Param("meter"), Carrier: t.ID}}
	for _, s := range stretches {
		if s.code == v.Query("time") {
			l.stretch = s
		}
	}
	if loc, ok := licensing.Zone(v.Query("zone")); ok {
		l.Zone = loc
	}
	for _, by := range t.ways() {
		if by.code == v.Query("by") {
			l.By = by.code
		}
	}
	if t.product() {
		l.Carrier, l.Product, l.Env = "", t.ID, t.Env
	}
	l.To = p.site.Clock.Now().In(l.Zone)
	l.From, l.Of.Zone = l.stretch.from(l.To), l.Zone.String()
	return l
}

// way is a way to look at a meter.
type way struct{ code, name string }

// ways are those that there are.
func (t *thing) ways() []way {
	if t.product() {
		return []way{{"", "Over time"}, {"carrier", "By license and key"}}
	}
	return []way{{"", "Over time"}, {"subject", "By subject"}, {"group", "By group"}}
}

// address is where the same meter is, looked at in another way.
func (l *look) address(t *thing, stretch, by, rest string) string {
	q := url.Values{}
	if stretch != stretches[2].code {
		q.Set("time", stretch)
	}
	if by != "" {
		q.Set("by", by)
	}
	if l.Zone != time.UTC {
		q.Set("zone", l.Zone.String())
	}
	return t.at("/"+url.PathEscape(l.Meter)+rest, q)
}

// mostUsers is how many of those who used most a page and its file name.
const mostUsers = 100

// meter shows one meter, over time or by who used it.
func (p *pages) meter(e end) func(*site.Visit) error {
	return func(v *site.Visit) error {
		t, err := e.named(v)
		if err != nil {
			return err
		}
		l := p.looked(v, t)
		f := v.Frame(l.Meter, append(t.Up, t.Of, ui.Link{Href: t.at("", url.Values{}), Name: "Usage"})...)
		zone := v.Filter()
		if z := v.Query("zone"); z != "" && z != l.Zone.String() {
			zone.Wrong("zone", "must be a time zone by its name, like Europe/Berlin")
		}
		if l.By != "" {
			top, err := p.ops.Top.Call(v.Ctx(), usage.TopRequest{Of: l.Of, By: l.By, Limit: mostUsers})
			if err != nil {
				return err
			}
			if top.Name != "" {
				f.Title = top.Name
			}
			return v.Show(topPage(f, e, t, l, zone, &top))
		}
		got, err := p.ops.Query.Call(v.Ctx(), usage.QueryRequest{Of: l.Of, Window: l.window})
		if err != nil {
			return err
		}
		bars, err := l.bars(&got)
		if err != nil {
			return err
		}
		if got.Name != "" {
			f.Title = got.Name
		}
		return v.Show(chartPage(f, e, t, l, zone, &got, bars))
	}
}

// bars are the windows of a chart, those in which nothing happened as well.
func (l *look) bars(got *usage.QueryResponse) ([]ui.Bar, error) {
	cuts, err := usage.Bounds(l.window, l.From, l.To, l.Zone)
	if err != nil {
		return nil, err
	}
	out, next := make([]ui.Bar, 0, len(cuts)-1), 0
	for _, at := range cuts[:len(cuts)-1] {
		b := ui.Bar{Label: l.label(at), Text: l.label(at) + ": nothing"}
		if next < len(got.Windows) && got.Windows[next].Starts.Equal(at) {
			b.Value = got.Windows[next].Value
			b.Text = l.label(at) + ": " + amount(b.Value, got.Unit)
			next++
		}
		out = append(out, b)
	}
	return out, nil
}

// label names a window.
func (l *look) label(at time.Time) string {
	at = at.In(l.Zone)
	switch l.window {
	case "hour":
		return at.Format("2 Jan, 15:04")
	case "month":
		return at.Format("January 2006")
	}
	return at.Format("2 January 2006")
}

// amount is a number of a meter's units.
func amount(n int64, unit string) string {
	if unit == "" {
		return ui.Number(n)
	}
	return ui.Number(n) + "\u00a0" + unit
}

// told are the numbers of a whole stretch that adding up its windows can say.
func told(got *usage.QueryResponse) (name, value, note string) {
	var events, sum, most, late int64
	for i := range got.Windows {
		w := &got.Windows[i]
		events, sum, most, late = events+w.Events, sum+w.Sum, max(most, w.Max), late+w.Late
	}
	note = "in " + ui.Plural(events, "event", "events")
	if late > 0 {
		note += ", " + ui.Number(late) + " of them more than a day late"
	}
	switch got.Kind {
	case "count":
		return "Counted", amount(events, got.Unit), note
	case "max":
		return "Highest", amount(most, got.Unit), note
	case "unique":
		return "Most at once", amount(highest(got), got.Unit), "different ones in one bar, " + note
	case "last":
		value = "–"
		if n := len(got.Windows); n > 0 {
			value = amount(got.Windows[n-1].Value, got.Unit)
		}
		return "Newest", value, note
	}
	return "In all", amount(sum, got.Unit), note
}

func highest(got *usage.QueryResponse) (most int64) {
	for i := range got.Windows {
		most = max(most, got.Windows[i].Value)
	}
	return most
}

// file answers with what a page shows, as a table for spreadsheets.
func (p *pages) file(e end) func(*site.Visit) error {
	return func(v *site.Visit) error {
		t, err := e.named(v)
		if err != nil {
			return err
		}
		l := p.looked(v, t)
		var rows [][]string
		if l.By != "" {
			top, err := p.ops.Top.Call(v.Ctx(), usage.TopRequest{Of: l.Of, By: l.By, Limit: mostUsers})
			if err != nil {
				return err
			}
			rows = top.CSV()
		} else {
			got, err := p.ops.Query.Call(v.Ctx(), usage.QueryRequest{Of: l.Of, Window: l.window})
			if err != nil {
				return err
			}
			rows = got.CSV()
		}
		out := v.Table(l.Meter + "-" + l.To.Format(time.DateOnly) + ".csv")
		for _, row := range rows {
			_ = out.Write(licensing.Inert(row)) // who has gone is nobody to tell
		}
		out.Flush()
		return nil
	}
}

// share is how much of a quota is used, in percent of what it allows, and the tone that this has.
func share(used, quota int64) (percent int64, tone string) {
	if quota <= 0 {
		return 100, "bad"
	}
	percent = used * 100 / quota
	switch {
	case percent >= 100:
		return percent, "bad"
	case percent >= 80:
		return percent, "wait"
	}
	return percent, ""
}

// period is a quota's period in words.
func period(q *usage.QuotaView) string {
	if q.Ends == nil {
		return "for the whole term"
	}
	return "until " + ui.When(*q.Ends)
}

// kinds are the kinds of meter in words, column what the consumers of a list are called.
var (
	kinds = map[string]string{"count": "which counts events", "sum": "which adds up numbers", "max": "of which the highest number counts", "unique": "which counts different values",
		"last": "of which the newest number counts"}
	column = map[string]string{"subject": "Subject", "group": "Group", "carrier": "License or key"}
)
