package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// countedWords is how many words of a search count.
const countedWords = 8

// hasWords checks that a row which a search for text found has each of its words, in whatever case. Of an article the text, which no list
// shows, counts as well.
func (s *surface) hasWords(t *testing.T, operation string, row object, text string) {
	t.Helper()
	var has strings.Builder
	gather(&has, row)
	switch operation {
	case "faq.list":
		gather(&has, s.read("/v1/faq/"+row["slug"].(string)))
	case "article.list":
		gather(&has, s.read("/v1/faq-articles/"+row["id"].(string)))
	}
	words := strings.Fields(strings.ToLower(text))
	for _, word := range words[:min(len(words), countedWords)] {
		if !strings.Contains(strings.ToLower(has.String()), word) {
			t.Errorf("%s with q=%.60q found a row without %q: %v", operation, text, word, row)
		}
	}
}

// read is what the operator reads at a path.
func (s *surface) read(path string) (out object) {
	s.must(request{Method: http.MethodGet, Path: path, As: cli, Bare: true}, &out)
	return out
}

// gather writes every text of a value into b, each on a line.
func gather(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v + "\n")
	case []any:
		for _, inner := range v {
			gather(b, inner)
		}
	case object:
		for _, inner := range v {
			gather(b, inner)
		}
	}
}

// TestI01_WhiteSpaceIsNoSearch: every list that can be searched lists, or counts, for white space, of whichever kind and however much, what it lists
// without a search, and finds a row by the words of a text of its own with white space around.
func TestI01_WhiteSpaceIsNoSearch(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		rows := func(q request, path, text string) []object {
			t.Helper()
			if q.Path = path; text != "" {
				q.Path += "?q=" + url.QueryEscape(text)
			}
			a := s.send(q)
			var page struct {
				Items []object
				Count int64
			}
			if err := json.Unmarshal(a.Body.Bytes(), &page); a.Code != http.StatusOK || err != nil {
				t.Fatalf("%s answered %d, %v: %.300s", q.Path, a.Code, err, a.Body)
			}
			if page.Items == nil && page.Count > 0 { // how many there are, as one row
				return []object{{"count": page.Count}}
			}
			return page.Items
		}
		same := func(a, b []object) bool {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return string(x) == string(y)
		}
		words := map[string]string{"catalog.browse": "name", "organisation.list": "name", "customer.list": "email", "order.list": "id", "license.list": "id", "key.list": "id",
			"faq.list": "title", "article.list": "title", "ticket.list": "number", "license.count": "count"}
		searched := 0
		for _, route := range s.routes {
			spec := route.Spec()
			if !slices.Contains(s.queryOf(spec.Name), "q") || spec.Name == "access.explain" { // which asks about one thing and lists none
				continue
			}
			searched++
			q := s.sample(spec)
			q.Bare = true
			path := q.Path
			all := rows(q, path, "")
			if len(all) == 0 {
				t.Errorf("%s lists nothing, so that nothing is tried", spec.Name)
				continue
			}
			for _, blank := range []string{" ", "\t\r\n ", "\u00a0\u2003\u3000", strings.Repeat(" ", 300)} {
				if got := rows(q, path, blank); !same(got, all) {
					t.Errorf("%s lists %d rows for the white space %.20q, %d without a search", spec.Name, len(got), blank, len(all))
				}
			}
			if spec.Name == "license.count" {
				continue
			}
			own, _ := all[0][words[spec.Name]].(string)
			if own == "" {
				t.Errorf("%s: a row has no %q to search for: %v", spec.Name, words[spec.Name], all[0])
				continue
			}
			found := rows(q, path, own)
			if got := rows(q, path, " \t"+own+"\u2003\n"); len(found) == 0 || !same(got, found) {
				t.Errorf("%s finds %d rows for %q and %d with white space around", spec.Name, len(found), own, len(got))
			}
		}
		if searched != len(words) {
			t.Errorf("%d lists were searched, want %d", searched, len(words))
		}
	})
}
