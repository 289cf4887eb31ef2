package e2e_test

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// TestX01_Corpus: the corpus has three hundred payloads and more, no two alike, of every class.
func TestX01_Corpus(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, text := range corpus() {
		seen[text] = true
	}
	if len(seen) < 300 || len(seen) != len(corpus()) {
		t.Errorf("%d payloads, %d of them distinct", len(corpus()), len(seen))
	}
	all := strings.Join(corpus(), "\n")
	for _, class := range []string{"<script", "onerror=", "<svg", "data:", "javascript:", "{{", "\uff1c", "<noscript>", "<template", "srcdoc", "<base", "&#x6a;"} {
		if !strings.Contains(all, class) {
			t.Errorf("the corpus has nothing with %q", class)
		}
	}
}

// infect puts payloads into everything on the stage that somebody can name: a piece of the corpus into each field, as much as it takes.
func (s *stage) infect(t *testing.T) {
	t.Helper()
	all := corpus()
	next := 0
	// piece is as much of the corpus as fits into so many bytes, in one line or in several, from where the piece before ended.
	piece := func(most int, joint string) string {
		out := ""
		for range all {
			text := all[next%len(all)]
			if joint == "" {
				text = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ", "\u2028", " ", "\u2029", " ", "\u0085", " ", "\u000b", " ", "\u000c", " ", "\u0001", "").Replace(text)
			}
			if len(out)+len(text)+len(joint) > most {
				break
			}
			out += text + joint
			next++
			if joint == "" {
				break
			}
		}
		return strings.TrimSpace(out)
	}
	calls := map[string]http.Header{owner: {"Authorization": {"Bearer " + s.tokens[owner]}}, customer: {"Authorization": {"Bearer " + s.tokens[customer]}}}
	call := func(who, method, at string, in object) {
		t.Helper()
		status, text, err := fetch(t.Context(), method, s.url+at, calls[who], in)
		if err != nil || status >= 500 {
			t.Fatalf("%s %s answered %d %s (%v)", method, at, status, text, err)
		}
		if status >= 400 {
			t.Logf("%s %s refused a payload: %d %.200s", method, at, status, text)
		}
	}
	whole := strings.Join(all, "\n")
	for at := 0; at < len(whole); { // the whole corpus, in the messages of tickets
		end := min(at+18_000, len(whole))
		if i := strings.LastIndexByte(whole[at:end], '\n'); i > 0 && end < len(whole) {
			end = at + i
		}
		call(customer, http.MethodPost, "/v1/tickets", object{"subject": piece(180, ""), "body": strings.ToValidUTF8(strings.Trim(whole[at:end], "\n"), ""), "license": s.ids["license"]})
		at = end
	}
	call(owner, http.MethodPost, "/v1/products", object{"slug": "evil", "name": piece(90, ""), "purpose": "revenue", "key_prefix": "EVIL", "description": piece(1500, "\n")})
	call(owner, http.MethodPatch, "/v1/products/"+s.ids["product"], object{"name": piece(90, ""), "description": piece(1500, "\n")})
	call(owner, http.MethodPatch, "/v1/plans/"+s.ids["plan"], object{"name": piece(90, ""), "description": piece(900, "\n")})
	call(owner, http.MethodPatch, "/v1/licenses/"+s.ids["license"], object{"reason": piece(450, " "), "licensee": piece(90, "")})
	call(owner, http.MethodPost, "/v1/keys/"+s.ids["key"]+"/disable", object{"reason": piece(450, " ")})
	call(owner, http.MethodPost, "/v1/keys/"+s.ids["key"]+"/enable", object{"reason": piece(450, " ")})
	call(owner, http.MethodPut, "/v1/switches/ads", object{"off": true, "reason": piece(450, " ")})
	call(owner, http.MethodPost, "/v1/machine-tokens", object{"name": piece(60, ""), "scopes": []string{"downloads:write"}})
	call(owner, http.MethodPost, "/v1/keys", object{"owner": s.ids[customer], "product": s.ids["product"], "env": "test", "name": piece(60, "")})
	call(owner, http.MethodPost, "/v1/faq-articles", object{"slug": "evil", "title": piece(180, ""), "body": piece(20_000, "\n\n"), "category": piece(50, ""), "published": true})
	call(owner, http.MethodPost, "/v1/canned-replies", object{"name": piece(90, ""), "body": piece(2000, "\n")})
	call(owner, http.MethodPost, "/v1/products/"+s.ids["product"]+"/releases", object{"version": "9.9.9", "channel": "beta", "access": "license", "notes": piece(1500, "\n")})
	for range 8 {
		call("", http.MethodPost, "/v1/accounts", object{"email": "x" + strings.Map(func(r rune) rune {
			if r > '~' || strings.ContainsRune(" \"(),:;<>@[]\\", r) {
				return -1
			}
			return r
		}, piece(40, "")) + "@example.com"})
	}
	call("", http.MethodPost, "/v1/accounts", object{"email": "named@example.com", "name": piece(90, "")})
	call(customer, http.MethodPost, "/v1/tickets", object{"subject": piece(180, ""), "body": piece(2000, "\n")})
	s.activate(t, s.ids["license-key"], piece(90, ""))
	s.activate(t, s.ids["license-key"], `<img src=x onerror=alert("device")>`)
	s.infectFiles(t)
}

// infectFiles uploads files whose names are payloads, as far as names of files may be.
func (s *stage) infectFiles(t *testing.T) {
	t.Helper()
	c := s.as(t, visitor)
	for _, name := range []string{"<img src=x onerror=alert(1)>.zip", "'\"><svg onload=alert(1)>.zip", "x onerror=alert(1).zip", "{{alert(1)}}.zip"} {
		p := c.do(t, http.MethodPut, "/v1/releases/"+s.ids["draft-release"]+"/files/"+url.PathEscape(name)+"?platform=any", http.Header{"Authorization": {"Bearer " + s.tokens[owner]}}, strings.NewReader("x"))
		if p.status >= 500 {
			t.Errorf("the file %q was answered %d", name, p.status)
		}
	}
}

// infected are further pages of what infect made, beside all those of the table.
func (s *stage) infected(t *testing.T) (out []visit) {
	t.Helper()
	out = everyVisit()
	var tickets licensing.List[struct{ ID string }]
	s.must(t, http.MethodGet, "/v1/tickets?limit=100", nil, &tickets)
	for _, k := range tickets.Items {
		out = append(out, visit{as: customer, at: "/tickets/" + k.ID}, visit{as: owner, at: "/admin/tickets/" + k.ID})
	}
	return append(out, visit{at: "/catalogue/evil"}, visit{at: "/support/faq/evil"}, visit{at: "/catalogue?q=" + url.QueryEscape(`"><svg onload=alert(1)>`)}, visit{at: "/sign-in?next=" + url.QueryEscape(`javascript:alert(1)`)},
		visit{at: "/support?q=" + url.QueryEscape(`'><img src=x onerror=alert(1)>`)}, visit{as: owner, at: "/admin/tickets?q=" + url.QueryEscape(`"><script>alert(1)</script>`)})
}

// TestX01_PagesShowText: with the corpus in everything that people can name, no page runs any of it: in Chromium nothing opens a dialog,
// nothing says anything on the console, nothing breaks the policy, and nothing is fetched from elsewhere.
func TestX01_PagesShowText(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.infect(t)
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	shown := ""
	for _, v := range s.infected(t) {
		if v.status == http.StatusSeeOther {
			continue
		}
		p.SetCookie(t, s.url, http.Cookie{Name: "mintreu-session", Value: s.tokens[v.as], Path: "/", HttpOnly: true})
		p.Visit(t, s.url+s.address(t, v.at))
		p.Quiet(t, 1<<20, "status of 4")
		shown += p.Text(t, "body")
	}
	n := 0
	for _, text := range corpus() {
		line, _, _ := strings.Cut(text, "\n")
		if strings.Contains(shown, strings.TrimSpace(line)) {
			n++
		}
	}
	if n < 250 { // the rest has characters that a browser shows in another way
		t.Errorf("pages show %d payloads only; nothing was tried", n)
	}
}

// TestX03_MailsShowText: mail about what the corpus was put into shows it as text, in Chromium as in a mail program that would run scripts.
func TestX03_MailsShowText(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.infect(t)
	var list licensing.List[struct{ Subject, HTML string }]
	limittest.Eventually(2*time.Minute, func() bool {
		s.must(t, http.MethodGet, "/v1/mails?limit=100", nil, &list)
		return len(list.Items) >= 10
	})
	var at string
	views := http.NewServeMux()
	views.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8") // and no policy: nothing but the mail itself keeps scripts out
		_, _ = w.Write([]byte(at))
	})
	base := serveAt(t, views)
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	payloads := 0
	for _, m := range list.Items {
		if strings.ContainsAny(m.Subject, "\r\n") {
			t.Errorf("a subject has more than one line: %q", m.Subject)
		}
		payloads += strings.Count(m.HTML, "alert(")
		at = m.HTML
		p.Visit(t, base)
		p.Quiet(t, 1<<20, "favicon")
	}
	if len(list.Items) < 10 || payloads < 10 {
		t.Errorf("%d mails with %d payloads; nothing was tried", len(list.Items), payloads)
	}
}
