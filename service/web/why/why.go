// Package why has the pages that say why somebody has access or has not, and what happened to a license: each for customers, about what is
// theirs, and for staff, about anybody. Both show the same steps with the same words, which the operations give; only where a step
// leads to differs.
package why

import (
	"fmt"
	"net/url"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// operations are what these pages call.
type operations struct {
	Explain  kit.Op[access.ExplainRequest, access.Explanation]            `op:"access.explain"`
	Timeline kit.Op[access.TimelineRequest, licensing.List[access.Event]] `op:"license.timeline"`
	License  kit.Op[license.GetRequest, license.View]                     `op:"license.get"`
}

type pages struct {
	site *site.Site
	ops  operations
}

// Pages are the explanation and the history, for customers and for staff.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	return []site.Page{
		{Name: "page.why_mine", Pattern: "GET /account/access", For: site.Customers, Serve: p.mine},
		{Name: "page.why", Pattern: "GET /admin/access", For: site.Staff, Serve: p.desk},
		{Name: "page.why_send", Pattern: "POST /admin/access", For: site.Staff, Serve: p.find},
		{Name: "page.history_mine", Pattern: "GET /account/licenses/{id}/history", For: site.Customers, Serve: p.history(mine)},
		{Name: "page.history", Pattern: "GET /admin/licenses/{id}/history", For: site.Staff, Serve: p.history(desk)},
	}, kit.Fill(s.Routes, &p.ops)
}

// side is who looks: where links lead to, and how pages are framed.
type side struct {
	staff bool
	under string // of addresses
}

var (
	mine = side{under: "/account"}
	desk = side{staff: true, under: "/admin"}
)

// href is where a link leads to; "" when there is no such page.
func (s side) href(l explain.Link) string {
	id := url.PathEscape(l.ID)
	switch l.Kind {
	case explain.LinkOrder:
		return s.under + "/orders/" + id
	case explain.LinkLicense:
		return s.under + "/licenses/" + id
	case explain.LinkDevices:
		if s.staff {
			return s.under + "/licenses/" + id
		}
		return s.under + "/licenses/" + id + "#devices"
	case explain.LinkKey:
		return s.under + "/keys/" + id
	case explain.LinkProduct:
		return "/catalogue/" + id
	case explain.LinkCheckout:
		if !s.staff {
			return "/checkout/" + id
		}
	case explain.LinkSwitch:
		return s.under + "/switches"
	case explain.LinkCustomer:
		if l.ID[:min(4, len(l.ID))] == "org_" {
			return s.under + "/organisations/" + id
		}
		return s.under + "/customers/" + id
	}
	return ""
}

// asked are the parameters of an address that say what is explained.
func asked(v *site.Visit) access.ExplainRequest {
	return access.ExplainRequest{License: v.Query("license"), Key: v.Query("key"), Order: v.Query("order"), Customer: v.Query("customer"), Email: v.Query("email"),
		Query: v.Query("q"), Product: v.Query("product")}
}

// mine explains a customer's own access.
func (p *pages) mine(v *site.Visit) error {
	r := asked(v)
	out, err := p.ops.Explain.Call(v.Ctx(), r)
	if err != nil {
		return err
	}
	return v.Show(minePage(v.Frame(title(&out), ui.Link{Href: "/account/licenses", Name: "Licenses"}), &out, r))
}

// title is the question that an explanation answers.
func title(e *access.Explanation) string {
	switch {
	case len(e.Chains) == 1 && e.Allowed:
		return "Why do I have access?"
	case !e.Allowed:
		return "Why do I not have access?"
	}
	return "Why do I have access, or not?"
}

// desk explains anybody's access to staff, who say whose by what is at hand.
func (p *pages) desk(v *site.Visit) error {
	r, f := asked(v), v.Form()
	if r == (access.ExplainRequest{}) {
		return v.Show(deskPage(v.Frame("Why access?"), f, nil, r))
	}
	out, err := p.ops.Explain.Call(v.Ctx(), r)
	if licensing.KindOf(err) == licensing.NotFound {
		return v.Show(nobodyPage(v.Frame("Why access?"), f, r))
	}
	if other := f.Refuse(err, map[string]string{"/q": "q"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(deskPage(v.Frame("Why access?"), f, nil, r))
	}
	return v.Show(deskPage(v.Frame("Why access?"), f, &out, r))
}

// longest is how long what staff look for may be.
const longest = 254

// find takes what staff pasted, which may be a whole key and must not stand in an address.
func (p *pages) find(v *site.Visit) error {
	f := v.Form()
	text := f.Text("q")
	switch {
	case text == "":
		f.Wrong("q", "please say what to look for")
	case len(text) > longest:
		f.Wrong("q", fmt.Sprintf("must have at most %d characters", longest))
	}
	if !f.OK() {
		return v.Show(deskPage(v.Frame("Why access?"), f, nil, access.ExplainRequest{}))
	}
	return v.Go("/admin/access?q="+url.QueryEscape(access.Handy(text)), "", "")
}

// history tells what happened to a license.
func (p *pages) history(s side) func(*site.Visit) error {
	return func(v *site.Visit) error {
		id := v.Param("id")
		l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id})
		if err != nil {
			return err
		}
		list, err := p.ops.Timeline.Call(v.Ctx(), access.TimelineRequest{License: id, Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
		if err != nil {
			return err
		}
		at := s.under + "/licenses/" + id
		more := ""
		if list.Next != "" {
			more = at + "/history?cursor=" + url.QueryEscape(list.Next)
		}
		frame := v.Frame("What happened", ui.Link{Href: s.under + "/licenses", Name: "Licenses"}, ui.Link{Href: at, Name: "License"})
		return v.Show(historyPage(frame, s, &l, list.Items, more))
	}
}
