package e2e_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"sync"

	"github.com/mintreu/mintreu/api"
)

// document is the API document as far as these tests read it.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		RequestBody *struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Items      *schema
}

var theDocument = sync.OnceValue(func() document {
	var d document
	if err := json.Unmarshal(api.OpenAPI(), &d); err != nil {
		panic(err)
	}
	return d
})

// queryOf lists the query parameters of an operation.
func (s *surface) queryOf(name string) []string {
	var out []string
	for _, item := range theDocument().Paths {
		for _, op := range item {
			for _, p := range op.Parameters {
				if op.OperationID == name && p.In == "query" {
					out = append(out, p.Name)
				}
			}
		}
	}
	return out
}

// bodyOf is the schema of an operation's body; nil when it has none.
func (d document) bodyOf(name string) *schema {
	for _, item := range d.Paths {
		for _, op := range item {
			if op.OperationID == name && op.RequestBody != nil {
				body := d.resolve(op.RequestBody.Content["application/json"].Schema)
				return &body
			}
		}
	}
	return nil
}

func (d document) resolve(s schema) schema {
	if s.Ref != "" {
		return d.resolve(d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")])
	}
	return s
}

func escape(s string) string { return url.QueryEscape(s) }

// pages reads a list one row a page.
func (s *surface) pages(as, path string) []object {
	s.t.Helper()
	var out []object
	next := ""
	for range 1000 {
		var page struct {
			Items []object
			Next  string
		}
		query := ""
		if len(s.queryAt(path)) > 0 {
			query = "?limit=1" + next
		}
		s.must(request{Method: "GET", Path: path + query, As: as}, &page)
		out = append(out, page.Items...)
		if page.Next == "" {
			return out
		}
		next = "&cursor=" + escape(page.Next)
	}
	s.t.Fatalf("%s has no end", path)
	return nil
}

// queryAt lists the query parameters of GET path.
func (s *surface) queryAt(path string) []string {
	return s.queryOf(theDocument().Paths[path]["get"].OperationID)
}
