// Package guide is the documentation that the service serves at /docs/: Markdown beside this file, rendered once at start.
package guide

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
)

//go:embed docs
var files embed.FS

// Guide is one page of the documentation.
type Guide struct {
	Name  string // the last element of its path, "operations"
	Title string // its first heading
	Short string // its name in the navigation
	HTML  string
}

// order is the order of the navigation; other guides come last.
func order() []string {
	return []string{"start", "selling", "storefront", "sdk", "offline", "licenses", "protect", "usage", "webhooks", "import", "keys", "accounts", "support", "switches", "operations"}
}

// Pages renders the guides and returns the pages of /docs/. It fails when a guide does not render or has no title.
func Pages(*site.Site) ([]site.Page, error) {
	guides, err := Guides()
	if err != nil {
		return nil, err
	}
	byName := map[string]Guide{}
	for _, g := range guides {
		byName[g.Name] = g
	}
	return []site.Page{
		{Name: "page.docs", Pattern: "GET /docs/{$}", Serve: func(v *site.Visit) error { return v.Leave("/docs/" + guides[0].Name) }},
		{Name: "page.guide", Pattern: "GET /docs/{name}", Serve: func(v *site.Visit) error {
			g, ok := byName[v.Param("name")]
			if !ok {
				return licensing.ErrNotFound
			}
			return v.Render(http.StatusOK, guidePage(v.Frame(g.Title), g, guides))
		}},
	}, nil
}

// Guides reads and renders every guide, in the order of the navigation.
func Guides() ([]Guide, error) {
	names, err := fs.Glob(files, "docs/*.md")
	if err != nil {
		return nil, err
	}
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	var out []Guide
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		title, ok := strings.CutPrefix(first, "# ")
		if !ok {
			return nil, fmt.Errorf("%s does not begin with its title", name)
		}
		var html bytes.Buffer
		if err := md.Convert(text, &html); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, Guide{Name: strings.TrimSuffix(path.Base(name), ".md"), Title: title, Short: short(title), HTML: reachable(html.String())})
	}
	slices.SortStableFunc(out, func(a, b Guide) int { return place(a.Name) - place(b.Name) })
	return out, nil
}

// reachable lets people without a mouse scroll blocks of code that are wider than the page.
func reachable(html string) string { return strings.ReplaceAll(html, "<pre>", `<pre tabindex="0">`) }

// short is a title as the navigation has it: what stands before a colon.
func short(title string) string {
	before, _, _ := strings.Cut(title, ":")
	return before
}

func place(name string) int {
	if i := slices.Index(order(), name); i >= 0 {
		return i
	}
	return len(order())
}
