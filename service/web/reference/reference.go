// Package reference is the API reference at /docs/api: an index of every operation with a search, and one page for each tag. All of it
// is made once, at start, of the OpenAPI document that the service serves; nothing of it is written by hand, so it cannot say
// anything else than the API does. It needs no script.
package reference

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
)

// root is where the reference is.
const root = "/docs/api"

// Pages reads an OpenAPI document and returns the pages of /docs/api. The examples in them call base, the address of the service. It
// fails when the document cannot be read or a page cannot be rendered.
func Pages(openapi []byte, base string) ([]site.Page, error) {
	d, err := read(openapi, base)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	bodies := map[string]string{}
	for _, t := range d.Tags {
		var out bytes.Buffer
		if err := tagBody(t).Render(context.Background(), &out); err != nil {
			return nil, fmt.Errorf("reference: %s: %w", t.Name, err)
		}
		bodies[t.Slug] = out.String()
	}
	return []site.Page{
		{Name: "page.reference", Pattern: "GET " + root, Serve: func(v *site.Visit) error {
			return v.Render(http.StatusOK, indexPage(v.Frame("API reference"), d, v.Filter(), d.search(v.Query("q"))))
		}},
		{Name: "page.reference_tag", Pattern: "GET " + root + "/{tag}", Serve: func(v *site.Visit) error {
			slug := v.Param("tag")
			i := slices.IndexFunc(d.Tags, func(t *Tag) bool { return t.Slug == slug })
			if i < 0 {
				return licensing.ErrNotFound
			}
			return v.Render(http.StatusOK, tagPage(v.Frame(d.Tags[i].Name+" · API reference"), d, d.Tags[i], bodies[slug]))
		}},
	}, nil
}

// search returns the tags with those of their operations that have every word of the query in their name, path or text. Without a
// query that is all of them.
func (d *Document) search(query string) []*Tag {
	words := strings.Fields(strings.ToLower(query))
	var out []*Tag
	for _, t := range d.Tags {
		found := &Tag{Name: t.Name, Slug: t.Slug}
		for _, op := range t.Operations {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(op.text, w) }) {
				found.Operations = append(found.Operations, op)
			}
		}
		if len(found.Operations) > 0 {
			out = append(out, found)
		}
	}
	return out
}

// count is how many operations tags have.
func count(tags []*Tag) (n int64) {
	for _, t := range tags {
		n += int64(len(t.Operations))
	}
	return n
}
