package guide_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/web/guide"
	"github.com/mintreu/mintreu/service/web/reference"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// TestDocs: every guide is served with a strict policy, names no other host as a resource and stays small.
func TestDocs(t *testing.T) {
	t.Parallel()
	s, err := site.New(site.Config{Shop: ui.Shopfront{Name: "Shop"}, BaseURL: "http://127.0.0.1", Key: make([]byte, 32), Routes: httpapi.AccountRoutes(nil)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := guide.Pages(s)
	if err != nil {
		t.Fatal(err)
	}
	h := http.NewServeMux()
	for _, p := range pages {
		h.Handle(p.Pattern, s.Handler(p))
	}
	guides, err := guide.Guides()
	if err != nil || len(guides) == 0 {
		t.Fatalf("guides: %d, %v", len(guides), err)
	}
	for _, g := range guides {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/docs/"+g.Name, nil))
		body := rec.Body.String()
		if rec.Code != http.StatusOK || !strings.Contains(body, "<h1") || len(body) > 100_000 {
			t.Errorf("%s: status %d, %d bytes", g.Name, rec.Code, len(body))
		}
		if m := regexp.MustCompile(`(src|href)="(https?:)?//[^"]*"[^>]*rel="stylesheet|<script[^>]*src="[^/]|<script>`).FindString(body); m != "" {
			t.Errorf("%s loads %q", g.Name, m)
		}
		if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", g.Name, csp)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/docs/no-such-guide", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("unknown guide: %d", rec.Code)
	}
}

// TestLinks: every link of a guide to another guide or to the API reference leads to a page there is, and to a section that it has.
func TestLinks(t *testing.T) {
	t.Parallel()
	guides, err := guide.Guides()
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"/docs/": "", "/docs/api": ""}
	for _, g := range guides {
		pages["/docs/"+g.Name] = g.HTML
	}
	operations, err := reference.Pages(api.OpenAPI(), "http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.New(site.Config{BaseURL: "http://127.0.0.1", Key: make([]byte, 32), Routes: httpapi.AccountRoutes(nil)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, p := range operations {
		mux.Handle(p.Pattern, s.Handler(p))
	}
	seen := 0
	for _, g := range guides {
		for _, m := range regexp.MustCompile(`href="(/docs/[^"#]*)#?([^"]*)"`).FindAllStringSubmatch(g.HTML, -1) {
			seen++
			if _, known := pages[m[1]]; !known && strings.HasPrefix(m[1], "/docs/api/") {
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, httptest.NewRequest("GET", m[1], nil))
				if rec.Code == http.StatusOK {
					pages[m[1]] = rec.Body.String()
				}
			}
			if page, known := pages[m[1]]; !known || m[2] != "" && !strings.Contains(page, `id="`+m[2]+`"`) {
				t.Errorf("%s leads to %s#%s, which is not there", g.Name, m[1], m[2])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d links", seen)
	}
}

// TestAlertsNameTheirPage: each alert rule's runbook is a section that the operations guide has.
func TestAlertsNameTheirPage(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("../../telemetry/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	guides, err := guide.Guides()
	if err != nil {
		t.Fatal(err)
	}
	html := map[string]string{}
	for _, g := range guides {
		html[g.Name] = string(g.HTML)
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(rules, -1)
	pages := regexp.MustCompile(`runbook_url: /docs/([a-z]+)#([a-z-]+)`).FindAllSubmatch(rules, -1)
	if len(alerts) == 0 || len(alerts) != len(pages) {
		t.Fatalf("%d alerts, %d runbooks", len(alerts), len(pages))
	}
	for i, p := range pages {
		page := html[string(p[1])]
		if !strings.Contains(page, `id="`+string(p[2])+`"`) || !strings.Contains(page, string(alerts[i][1])) {
			t.Errorf("%s: the guide %q has no section %q that names it", alerts[i][1], p[1], p[2])
		}
	}
}
