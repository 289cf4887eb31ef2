// Package web serves the pages of the product: the documentation, Markdown beside this file rendered once at start, and the page
// to which buyers return from paying. They come in light and dark, without JavaScript and without a request to another host.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

//go:embed docs page.html page.css order.html icon.svg
var files embed.FS

// Guide is one page of the documentation.
type Guide struct {
	Name  string // the last element of its path, "operations"
	Title string // its first heading
	Short string // its name in the navigation
	HTML  template.HTML
}

// guideOrder is the order of the navigation; other guides come last.
func guideOrder() []string { return []string{"start", "selling", "sdk", "offline", "operations"} }

// Docs renders the guides and returns the handler of /docs/ and its subtree. It fails when a guide does not render or has no title.
func Docs() (http.Handler, error) {
	guides, err := Guides()
	if err != nil {
		return nil, err
	}
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	css, err := files.ReadFile("page.css")
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	for _, g := range guides {
		var out bytes.Buffer
		if err := page.Execute(&out, map[string]any{"Guide": g, "All": guides}); err != nil {
			return nil, fmt.Errorf("render guide %s: %w", g.Name, err)
		}
		pages[g.Name] = out.Bytes()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /docs/page.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(css)
	})
	mux.HandleFunc("GET /docs/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/docs/"+guides[0].Name, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /docs/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		pageHeader(w.Header())
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body)
	})
	return mux, nil
}

// pageHeader lets a page load its style sheet from here, and nothing else.
func pageHeader(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
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
		out = append(out, Guide{Name: strings.TrimSuffix(path.Base(name), ".md"), Title: title, Short: short(title), HTML: template.HTML(reachable(html.String()))}) //nolint:gosec // our own embedded text
	}
	slices.SortStableFunc(out, func(a, b Guide) int { return place(a.Name) - place(b.Name) })
	return out, nil
}

// reachable lets people without a mouse scroll blocks of code that are wider than the page.
func reachable(html string) string { return strings.ReplaceAll(html, "<pre>", `<pre tabindex="0">`) }

// Icon is the small picture that browsers show beside a page's title, served at /favicon.ico.
func Icon() (http.Handler, error) {
	icon, err := files.ReadFile("icon.svg")
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		w.Header().Set("Cache-Control", "public, max-age=86400")
		_, _ = w.Write(icon)
	}), nil
}

// short is a title as the navigation has it: what stands before a colon.
func short(title string) string {
	before, _, _ := strings.Cut(title, ":")
	return before
}

func place(name string) int {
	if i := slices.Index(guideOrder(), name); i >= 0 {
		return i
	}
	return len(guideOrder())
}
