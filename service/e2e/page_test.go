package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// pageLimit is what a page may weigh, in bytes, with everything it loads.
const pageLimit = 100_000

// looks are the ways in which every page is looked at.
func looks() map[string]browsertest.Look {
	return map[string]browsertest.Look{"light": {}, "dark": {Dark: true}, "telephone": {Narrow: true, Dark: true}}
}

// everyVisit is the table as a list, in a fixed order.
func everyVisit() []visit {
	var out []visit
	table := visits()
	for _, pattern := range slices.Sorted(maps.Keys(table)) {
		out = append(out, table[pattern]...)
	}
	return out
}

// TestPages_Served: every page answers as the table says, is valid HTML, carries the strict headers, and is kept by no cache; to whom it
// is not for it shows nothing.
func TestPages_Served(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	served := map[string]string{}
	callers := s.callers(t)
	for _, v := range everyVisit() {
		at := s.address(t, v.at)
		p := s.open(t, callers[v.as], v)
		if want := max(v.status, http.StatusOK); p.status != want && !(v.status == 0 && p.status == want) {
			t.Errorf("%s by %q answered %d %s, want %d", at, v.as, p.status, p.to, want)
			continue
		}
		strictHeaders(t, at, p)
		if got := strings.Join(p.header.Values("Content-Security-Policy"), ", "); v.document && got != documentPolicy {
			t.Errorf("%s: the content security policy is %q", at, got)
		} else if !v.document {
			for _, fault := range policyFaults(p.header.Values("Content-Security-Policy")) {
				t.Errorf("%s: the content security policy %s", at, fault)
			}
		}
		if p.status == http.StatusSeeOther {
			continue
		}
		name := v.as + " " + v.at
		if v.sends != nil {
			name += fmt.Sprint(" sent ", v.sends)
		}
		served[name] = p.text
		if v.sends == nil && (strings.HasPrefix(at, "/account") || strings.HasPrefix(at, "/admin")) {
			s.refusesOthers(t, callers, v, at)
		}
	}
	browsertest.ValidAll(t, served)
}

// refusesOthers checks that a page behind a sign-in leads strangers to it, and is not there for others.
func (s *stage) refusesOthers(t *testing.T, callers map[string]*caller, v visit, at string) {
	t.Helper()
	if p := callers[visitor].get(t, at); p.status != http.StatusSeeOther || !strings.HasPrefix(p.to, "/sign-in?next=") {
		t.Errorf("%s answered a stranger %d %s", at, p.status, p.to)
	}
	if p := callers[customer].get(t, at); v.as == owner && p.status != http.StatusNotFound {
		t.Errorf("%s answered a customer %d", at, p.status)
	}
	if p := callers[owner].get(t, at); v.as == customer && p.status != http.StatusForbidden {
		t.Errorf("%s answered the owner %d", at, p.status)
	}
}

// strictHeaders checks the headers that every page has.
func strictHeaders(t *testing.T, at string, p page) {
	t.Helper()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", at, name, got, want)
		}
	}
	if got := p.header.Get("Referrer-Policy"); got != "same-origin" && got != "no-referrer" {
		t.Errorf("%s: Referrer-Policy is %q", at, got)
	}
}

// documentPolicy is that of documents: their own style, and nothing else of any kind.
const documentPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// tabs is how many pages are looked at at once.
const tabs = 2

// TestPages_Looked: every page, in light and in dark, on a desk and on a telephone, has nothing that axe-core finds wrong, weighs less than
// 100 KB with all it loads, calls no other host, says nothing on the console, and fits its window, as its tables fit their frames; it has one heading, a title and a
// language; with JavaScript switched off it shows the same text and the same forms.
func TestPages_Looked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.told(t) // so that no page changes between two looks
	chromium := browsertest.Start(t)
	todo := make(chan visit)
	var wg sync.WaitGroup
	for range tabs {
		p := chromium.Private(t, browsertest.Look{})
		p.Fresh(t)
		wg.Go(func() {
			for v := range todo {
				s.look(t, p, v)
			}
		})
	}
	for _, v := range everyVisit() {
		todo <- v
	}
	close(todo)
	wg.Wait()
}

// requestName is the id of a request as pages name it.
var requestName = regexp.MustCompile(`req_[0-9a-f]{32}`)

// same reports whether two views show the same text and forms.
func same(a, b browsertest.View) bool {
	return requestName.ReplaceAllString(a.Main, "") == requestName.ReplaceAllString(b.Main, "") && fmt.Sprint(a.Forms) == fmt.Sprint(b.Forms)
}

// look looks at one page in every way.
func (s *stage) look(t *testing.T, p *browsertest.Page, v visit) {
	at := s.url + s.address(t, v.at)
	expected := []string{}
	if v.status >= 400 {
		expected = append(expected, fmt.Sprint(v.status))
	}
	p.SetCookie(t, s.url, http.Cookie{Name: "mintreu-session", Value: s.tokens[v.as], Path: "/", HttpOnly: true})
	p.Turn(t, browsertest.Look{})
	v.enter(t, p, at)
	p.Quiet(t, pageLimit, expected...)
	p.Accessible(t)
	p.Whole(t)
	seen := p.View(t)
	if len(seen.Heads) != 1 || seen.Heads[0] == "" || seen.Lang != "en" || !strings.HasSuffix(seen.Title, " · Quill & Ink") && (!v.document || seen.Title == "") {
		t.Errorf("%s has the headings %q, the title %q and the language %q", at, seen.Heads, seen.Title, seen.Lang)
	}
	p.Turn(t, browsertest.Look{Dark: true})
	p.Colours(t) // nothing else changes
	p.Turn(t, browsertest.Look{Dark: true, Narrow: true})
	p.Narrower(t)
	p.Whole(t)

	p.Turn(t, browsertest.Look{NoScript: true})
	v.enter(t, p, at)
	p.Quiet(t, pageLimit, expected...)
	without := p.View(t)
	if !same(seen, without) { // what it shows may have changed in between
		p.Turn(t, browsertest.Look{})
		v.enter(t, p, at)
		seen = p.View(t)
	}
	if !same(seen, without) {
		t.Errorf("%s without JavaScript shows\n%s\n%+v\nand with it\n%s\n%+v", at, without.Main, without.Forms, seen.Main, seen.Forms)
	}
	for _, f := range without.Forms {
		if !f.Button {
			t.Errorf("%s has a form without a button: %+v", at, f)
		}
	}
}
