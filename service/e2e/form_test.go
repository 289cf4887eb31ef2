package e2e_test

import (
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// streamed are pages that read a file as it comes, and answer by leading back to where it was chosen.
var streamed = []string{"POST /admin/releases/{id}/files"}

// TestForms_EveryPost: every page that takes a form is led to by a form that a page of the table shows, so that the tests of this file try
// it.
func TestForms_EveryPost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	found := map[string]bool{}
	for _, f := range append(s.allForms(t, s.callers(t)), s.rootForms(t)...) {
		found[f.pattern] = true
		if !strings.HasPrefix(f.pattern, "POST ") {
			t.Errorf("%s by %q has a form that leads to %s, which takes none", f.page, f.as, f.action)
		}
	}
	for _, pattern := range mounts(t) {
		if strings.HasPrefix(pattern, "POST ") && !found[pattern] {
			t.Errorf("%q: no page of the table shows its form", pattern)
		}
	}
}

// rootForms moves the root offline with a second owner and returns the forms by which it is taken and confirmed, which are only there in turn.
func (s *stage) rootForms(t *testing.T) (out []form) {
	t.Helper()
	s.made(t, "partner", "/v1/staff", object{"email": stageEmail("partner"), "role": "owner", "password": password, "name": "Partner"})
	s.tokens["partner"] = s.signIn(t, "partner")
	export := "/root-exports/" + s.ids["export"]
	show := func(step string) {
		t.Helper()
		at := "/admin" + export + "/" + step
		for _, f := range forms(t, s.as(t, owner).get(t, at).text, at) {
			if f.action == at {
				f.as, f.page, f.pattern = owner, at, "POST /admin/root-exports/{id}/"+step
				out = append(out, f)
			}
		}
	}
	s.say(t, "partner", http.MethodPost, "/v1"+export+"/approve", object{}, nil)
	show("take")
	s.say(t, owner, http.MethodPost, "/v1"+export+"/take", object{"passphrase": "correct horse battery"}, nil)
	show("confirm")
	return out
}

// long is a text beyond what any field takes.
var long = strings.Repeat("long ", 20_000)

// hostile are texts that break what is careless with them.
func hostileTexts() []string {
	return []string{"<script>alert(1)</script>\"'><img src=x onerror=alert(1)>", "a\x00b\x07\x1b[31m\u202e\r\nBcc: all@example.com", "\xff\xfe\xc3(", "' OR 1=1; DROP TABLE person--", "{{.}}${7*7}%s%n%x", "-1", "1e309", "9223372036854775808",
		"\u00a0\u200b\ufeff", "../../../../etc/passwd", "https://evil.example/", "//evil.example"}
}

// TestForms_BadInput: a form that is sent empty or with far too much in it comes back with a refusal's status, with what was typed in it,
// passwords excepted, and with a sentence on what to do; hostile texts, in hidden fields too, never lead to a fault of the service nor away
// from the site.
func TestForms_BadInput(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	callers := s.callers(t)
	all := slices.DeleteFunc(s.allForms(t, callers), func(f form) bool { return f.pattern == "POST /sign-out" || slices.Contains(streamed, f.pattern) })
	for _, f := range all {
		if f.requires() {
			s.comesBack(t, callers[f.as], f, "empty", func(d field) string {
				if d.kind == "hidden" {
					return d.value
				}
				return ""
			})
		}
		if f.typed() {
			s.comesBack(t, callers[f.as], f, "over-long", func(d field) string {
				switch d.kind {
				case "hidden":
					return d.value
				case "number":
					return strings.Repeat("9", 40)
				}
				return long[:50_000]
			})
		}
	}
	for _, f := range all {
		for _, text := range hostileTexts() {
			c := callers[f.as]
			for _, values := range []func(field) string{
				func(d field) string {
					if d.kind == "hidden" {
						return d.value
					}
					return text
				},
				func(field) string { return text },
			} {
				p := c.fill(t, f, f.values(values))
				if p.status >= 500 && p.status != http.StatusServiceUnavailable || p.status < 300 && !strings.Contains(p.text, "<h1") && !strings.HasPrefix(p.header.Get("Content-Disposition"), "attachment") {
					t.Errorf("%s by %q with %.40q answered %d", f.action, f.as, text, p.status)
				}
				if strings.Contains(p.to, "evil.example") {
					t.Errorf("%s by %q with %.40q leads to %s", f.action, f.as, text, p.to)
				}
				if strings.Contains(p.text, text) && strings.HasPrefix(text, "<script>") {
					t.Errorf("%s by %q shows %.40q as it is", f.action, f.as, text)
				}
			}
		}
	}
}

// comesBack sends a form with what cannot be taken, and checks what comes back.
func (s *stage) comesBack(t *testing.T, c *caller, f form, what string, replace func(field) string) {
	t.Helper()
	values := f.values(replace)
	p := c.fill(t, f, values)
	if p.status < 400 || p.status >= 500 {
		t.Errorf("%s of %s by %q sent %s answered %d %s", f.pattern, f.page, f.as, what, p.status, p.to)
		return
	}
	var back *form
	for _, g := range forms(t, p.text, f.action) {
		if g.action == f.action && slices.ContainsFunc(g.fields, func(d field) bool { return d.text || d.kind == "checkbox" }) {
			back = &g
		}
	}
	if back == nil {
		t.Errorf("%s of %s by %q sent %s: the form does not come back with %d: %.300s", f.pattern, f.page, f.as, what, p.status, mainOf(p.text))
		return
	}
	for _, d := range back.fields {
		if sent := values.Get(d.name); d.text && d.kind != "password" && values.Has(d.name) && strings.TrimSpace(d.value) != strings.TrimSpace(sent) {
			t.Errorf("%s of %s by %q sent %s: %s holds %.60q of what was typed (%.20q)", f.pattern, f.page, f.as, what, d.name, d.value, sent)
		}
		if d.kind == "password" && d.value != "" {
			t.Errorf("%s of %s by %q sent %s: the password comes back", f.pattern, f.page, f.as, what)
		}
	}
	if !strings.Contains(p.text, `class="error"`) && !strings.Contains(p.text, `role="alert"`) {
		t.Errorf("%s of %s by %q sent %s: nothing says what to do", f.pattern, f.page, f.as, what)
	}
}

// mainOf is the main part of a page.
func mainOf(text string) string {
	_, after, _ := strings.Cut(text, "<main")
	main, _, _ := strings.Cut(after, "</main>")
	return html.UnescapeString(main)
}
