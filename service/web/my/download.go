package my

import (
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// shelf is what there is of one product: the newest release that may be had, the older ones, and those that are not covered.
type shelf struct {
	Product string
	Newest  *download.Item
	Older   []download.Item
	Lacking []download.Item
}

// shelves sorts releases by product, in the order in which products come; they come newest first.
func shelves(items []download.Item) []*shelf {
	var out []*shelf
	at := map[string]*shelf{}
	for i := range items {
		it := &items[i]
		s := at[it.Product]
		if s == nil {
			s = &shelf{Product: text(it.Name != "", it.Name, it.Product)}
			at[it.Product], out = s, append(out, s)
		}
		switch {
		case it.Lacks != "":
			s.Lacking = append(s.Lacking, *it)
		case s.Newest == nil:
			s.Newest = it
		default:
			s.Older = append(s.Older, *it)
		}
	}
	return out
}

// lacks says why a release cannot be had, and what would help.
func lacks(it *download.Item) string {
	switch {
	case it.Lacks == "updates" && it.CoveredTo != nil:
		return "It came out on " + ui.Day(it.ReleasedAt) + ", after the updates of your license ended on " + ui.Day(*it.CoveredTo) + ". Renewing the license covers it."
	case it.Lacks == "expired" && it.CoveredTo != nil:
		return "Your license expired on " + ui.Day(*it.CoveredTo) + ". Renewing it covers this version."
	case it.Lacks == "version":
		return "Your license covers older versions than this one. An upgrade covers it."
	}
	return "None of your licenses covers it."
}

func (p *pages) downloads(v *site.Visit) error {
	list, err := p.ops.Downloads.Call(v.Ctx(), download.BrowseRequest{All: true, Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 60}})
	if err != nil {
		return err
	}
	return v.Show(downloadsPage(v.Frame("Downloads"), v.Form(), shelves(list.Items), list.Next))
}

// download makes a link to a file and leads to it.
func (p *pages) download(v *site.Visit) error {
	out, err := p.ops.Link.Call(v.Ctx(), download.LinkRequest{FileID: v.Param("file"), License: v.Form().Text("license")})
	if err != nil {
		if err := v.Form().Refuse(err, nil); err != nil {
			return err
		}
		return v.Go("/account/downloads", "bad", v.Form().Problem)
	}
	return v.Leave(out.URL)
}

// platform is what a file is for, in words.
func platform(p string) string {
	if p == "any" || p == "" {
		return "For every system"
	}
	system, machine, _ := strings.Cut(p, "-")
	name, known := map[string]string{"linux": "Linux", "darwin": "macOS", "macos": "macOS", "windows": "Windows", "freebsd": "FreeBSD", "android": "Android", "ios": "iOS"}[system]
	if !known {
		return p
	}
	if m, known := map[string]string{"amd64": "64-bit Intel and AMD", "arm64": "64-bit ARM", "universal": "every Mac"}[machine]; known {
		machine = m
	}
	if machine == "" {
		return name
	}
	return name + ", " + machine
}

// Link is what the page of a download link shows: the file, or in Problem why there is none.
type Link struct {
	Title, Problem, Product, Version, Size, SHA256, Expires string
}

// ShowLink answers with the page of a download link.
func ShowLink(s *site.Site, w http.ResponseWriter, r *http.Request, status int, l Link) {
	s.Around(w, r, status, l.Title, func(f ui.Frame) templ.Component { return linkPage(f, l) })
}
