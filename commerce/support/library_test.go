package support_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// The search finds published articles with every word, whatever their case, those with all of them in the title first, alike on both engines; what
// looks like a pattern is a text; drafts are for staff; pages join.
func TestFAQSearch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		write := func(slug, title, body, category string, position int, published bool) (a support.StaffArticle) {
			d.ok("POST", "/v1/faq-articles", "sue", object{"slug": slug, "title": title, "body": body, "category": category, "position": position, "published": published}, &a)
			return a
		}
		write("key", "Where is my license key?", "In the mail with the receipt.", "Buying", 2, true)
		write("seats", "How many devices?", "As many as your License KEY has seats, 100% of them.", "Devices", 1, true)
		write("umlaut", "Größe ÄNDERN", "ein_wort", "Devices", 2, true)
		draft := write("draft", "A draft on license keys", "soon", "Buying", 1, false)
		search := func(path, as, query string) (slugs []string) {
			cursor := ""
			for {
				var page struct {
					Items []struct{ Slug, Body string }
					Next  string
				}
				d.ok("GET", path+"?"+query+cursor, as, nil, &page)
				for _, a := range page.Items {
					slugs = append(slugs, a.Slug)
					if a.Body != "" {
						t.Error("a list has bodies")
					}
				}
				if page.Next == "" {
					return slugs
				}
				cursor = "&cursor=" + page.Next
			}
		}
		for query, want := range map[string][]string{
			"": {"key", "seats", "umlaut"}, "limit=1": {"key", "seats", "umlaut"}, "q=LICENSE+key": {"key", "seats"}, "q=key+license&limit=1": {"key", "seats"}, "q=devices": {"seats"}, "q=receipt+license": {"key"}, "q=receipt+seats": nil,
			"category=Devices": {"seats", "umlaut"}, "q=gr%C3%B6%C3%9Fe": {"umlaut"}, "q=%C3%A4ndern": {"umlaut"}, "q=100%25": {"seats"}, "q=%25": {"seats"}, "q=_": {"umlaut"}, "q=e_n": nil, "q=%5C": nil, "q=draft": nil, "q=+%09": {"key", "seats", "umlaut"}, "q='": nil,
		} {
			if got := search("/v1/faq", "", query); !slices.Equal(got, want) {
				t.Errorf("%q: %v, want %v", query, got, want)
			}
		}
		if got := search("/v1/faq-articles", "sue", "q=license"); !slices.Equal(got, []string{"draft", "key", "seats"}) {
			t.Errorf("staff: %v", got)
		}
		if a := d.do("GET", "/v1/faq/draft", "", nil); a.StatusCode != 404 {
			t.Errorf("a draft: %d", a.StatusCode)
		}
		change := func(version int, slug string, published bool) answer {
			return d.do("PUT", "/v1/faq-articles/"+draft.ID, "sam", object{"version": version, "slug": slug, "title": "Now", "body": "# Out", "published": published})
		}
		if a := change(1, "key", true); a.code() != "name-taken" {
			t.Errorf("a slug that is taken: %d %s", a.StatusCode, a.body)
		}
		if a := change(1, "now", true); a.StatusCode != 200 {
			t.Errorf("publish: %d %s", a.StatusCode, a.body)
		}
		if a := change(1, "now", false); a.code() != "changed-meanwhile" {
			t.Errorf("of an old version: %d %s", a.StatusCode, a.body)
		}
		var v support.ArticleView
		a := d.ok("GET", "/v1/faq/now", "", nil, &v)
		if v.Body != "# Out" || a.Header.Get("Cache-Control") != "public, max-age=30" {
			t.Errorf("%+v %v", v, a.Header)
		}
		d.ok("DELETE", "/v1/faq-articles/"+draft.ID, "sue", nil, nil)
		if a := d.do("DELETE", "/v1/faq-articles/"+draft.ID, "sue", nil); a.StatusCode != 404 {
			t.Errorf("removed twice: %d", a.StatusCode)
		}
		for _, slug := range []string{"", "Upper", "a--b", "-a", "a/b", "../a", "a b", strings.Repeat("a", 81)} {
			if a := d.do("POST", "/v1/faq-articles", "sue", object{"slug": slug, "title": "t", "body": "b"}); a.StatusCode != 400 {
				t.Errorf("slug %q: %d", slug, a.StatusCode)
			}
		}
	})
}

// Placeholders are filled in on use, once: what they stand for is text even when it looks like a placeholder or a template; unknown braces stay.
func TestI15_CannedRepliesAreText(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		var c support.CannedView
		d.ok("POST", "/v1/canned-replies", "sue", object{"name": "Thanks", "body": "Dear {name},\n{number}: {subject} {agent} {unknown} {{.}} ${7*7} %s"}, &c)
		for _, g := range []struct{ name, subject, who string }{{"{number} {{.Name}}", "{agent} {subject}", "{number} {{.Name}}"}, {"", "S", "guest"}} {
			th := d.open("", object{"email": "guest@example.com", "name": g.name, "subject": g.subject})
			var f support.Filled
			d.ok("GET", "/v1/canned-replies/"+c.ID+"/text?ticket="+th.ID, "sam", nil, &f)
			if want := fmt.Sprintf("Dear %s,\n%s: %s Sam {unknown} {{.}} ${7*7} %%s", g.who, th.Number, g.subject); f.Text != want {
				t.Errorf("%q, want %q", f.Text, want)
			}
			var list licensing.List[support.CannedView]
			d.ok("GET", "/v1/canned-replies?ticket="+th.ID, "sam", nil, &list)
			if len(list.Items) != 1 || list.Items[0].Body != f.Text || list.Items[0].Name != "Thanks" {
				t.Errorf("the list for a ticket has %+v, want the text %q", list.Items, f.Text)
			}
		}
		if a := d.do("GET", "/v1/canned-replies?ticket=tkt_none", "sam", nil); a.StatusCode != 404 {
			t.Errorf("the list for no ticket: %d %s", a.StatusCode, a.body)
		}
		if a := d.do("POST", "/v1/canned-replies", "sue", object{"name": "Thanks", "body": "b"}); a.code() != "name-taken" {
			t.Errorf("a name that is taken: %d %s", a.StatusCode, a.body)
		}
		for i, want := range []int{200, 409} {
			if a := d.do("PUT", "/v1/canned-replies/"+c.ID, "sue", object{"version": 1, "name": fmt.Sprint("N", i), "body": "b"}); a.StatusCode != want {
				t.Errorf("change %d: %d %s", i, a.StatusCode, a.body)
			}
		}
		var page licensing.List[support.CannedView]
		d.ok("GET", "/v1/canned-replies", "sam", nil, &page)
		if len(page.Items) != 1 || page.Items[0].Name != "N0" {
			t.Errorf("%+v", page)
		}
		d.ok("DELETE", "/v1/canned-replies/"+c.ID, "sue", nil, nil)
		if a := d.do("GET", "/v1/canned-replies", "aud", nil); a.StatusCode != 403 {
			t.Errorf("the auditor: %d", a.StatusCode)
		}
	})
}
