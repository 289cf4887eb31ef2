package e2e_test

import (
	"bytes"
	"crypto/rand"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// form is a form of a page that changes something.
type form struct {
	as, page string // who sees it, and where
	action   string // where it leads
	pattern  string // of the page that takes it
	parts    bool   // sent in parts, for files
	fields   []field
}

// field is one of its fields.
type field struct {
	name, kind, value string
	required, checked bool
	text              bool // somebody types into it
}

// forms reads the forms of a page that change something.
func forms(t testing.TB, text, at string) (out []form) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || !strings.EqualFold(attribute(n, "method"), "post") {
			continue
		}
		to, err := base.Parse(attribute(n, "action"))
		if err != nil {
			t.Fatal(err)
		}
		f := form{action: to.RequestURI(), parts: attribute(n, "enctype") == "multipart/form-data"}
		for e := range n.Descendants() {
			if e.Type == html.ElementNode {
				f.add(e)
			}
		}
		out = append(out, f)
	}
	return out
}

func (f *form) add(e *html.Node) {
	d := field{name: attribute(e, "name"), kind: attribute(e, "type"), value: attribute(e, "value"), required: has(e, "required"), checked: has(e, "checked")}
	switch e.Data {
	case "textarea":
		d.kind, d.text, d.value = "textarea", true, ""
		if e.FirstChild != nil {
			d.value = e.FirstChild.Data
		}
	case "select":
		d.kind = "select"
		for o := range e.Descendants() {
			if o.Data == "option" && (d.value == "" || has(o, "selected")) {
				d.value = attribute(o, "value")
			}
		}
	case "input":
		d.text = !slices.Contains([]string{"hidden", "checkbox", "radio", "submit", "file", "button"}, d.kind)
	default:
		return
	}
	if d.name != "" {
		f.fields = append(f.fields, d)
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// requires reports whether something has to be typed or ticked.
func (f form) requires() bool {
	return slices.ContainsFunc(f.fields, func(d field) bool { return d.required && d.kind != "select" && d.kind != "radio" })
}

// typed reports whether somebody types into it.
func (f form) typed() bool {
	return slices.ContainsFunc(f.fields, func(d field) bool { return d.text })
}

// values are what is sent: what the page had, with the text of each field that somebody types into replaced, and a token that was not
// used before.
func (f form) values(replace func(field) string) url.Values {
	out := url.Values{}
	for _, d := range f.fields {
		switch {
		case d.name == "once":
			out.Set("once", rand.Text())
		case d.text, d.kind == "hidden":
			out.Add(d.name, replace(d))
		case d.kind == "checkbox" || d.kind == "radio":
			if d.checked {
				out.Add(d.name, d.value)
			}
		case d.kind != "file":
			out.Add(d.name, d.value)
		}
	}
	return out
}

// fill sends a form as a browser does.
func (c *caller) fill(t testing.TB, f form, values url.Values) page {
	t.Helper()
	if !f.parts {
		return c.post(t, f.action, values)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, all := range values {
		for _, v := range all {
			if err := w.WriteField(name, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, d := range f.fields {
		if d.kind == "file" {
			if _, err := w.CreateFormFile(d.name, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return c.do(t, http.MethodPost, f.action, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {c.base}, "Content-Type": {w.FormDataContentType()}}, &body)
}

// allForms are the forms of every page in the table, each once for everybody who sees it, with the pattern of the page that takes it.
func (s *stage) allForms(t testing.TB, callers map[string]*caller) (out []form) {
	t.Helper()
	mux := http.NewServeMux()
	for _, pattern := range mounts(t) {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	seen := map[string]bool{}
	for _, v := range everyVisit() {
		if v.document || v.status == http.StatusSeeOther {
			continue
		}
		at := s.address(t, v.at)
		for _, f := range forms(t, s.open(t, callers[v.as], v).text, at) {
			_, f.pattern = mux.Handler(httptest.NewRequest(http.MethodPost, f.action, nil))
			f.as, f.page = v.as, at
			if key := f.as + " " + f.pattern; !seen[key] || strings.Contains(v.at, "?") && !seen[key+f.page] {
				seen[key], seen[key+f.page] = true, true
				out = append(out, f)
			}
		}
	}
	return out
}

// callers are everybody who visits pages.
func (s *stage) callers(t testing.TB) map[string]*caller {
	t.Helper()
	out := map[string]*caller{visitor: s.as(t, visitor)}
	for who := range s.tokens {
		out[who] = s.as(t, who)
	}
	return out
}
