package reference_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/web/reference"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// maxPage is what a page may weigh in bytes, uncompressed and without style sheet and script.
const maxPage = 88_000

// served is the reference of the real document as a site serves it.
func served(t *testing.T) http.Handler {
	t.Helper()
	pages, err := reference.Pages(api.OpenAPI(), "https://shop.example")
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.New(site.Config{Shop: ui.Shopfront{Name: "Shop"}, BaseURL: "https://shop.example", Key: make([]byte, 32), Routes: httpapi.AccountRoutes(nil)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, p := range pages {
		mux.Handle(p.Pattern, s.Handler(p))
	}
	return mux
}

func get(t *testing.T, h http.Handler, at string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", at, nil))
	return w.Code, w.Body.String()
}

var link = regexp.MustCompile(`href="(/docs/api/[a-z-]+)(?:#([a-z-]+))?"`)

// TestEveryOperation: the index leads to every operation of the document, by an anchor that its page has; each page is small enough,
// has no link to an object that it does not describe, no id twice, and says who may call, in a sentence for every way in.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	h := served(t)
	var document struct {
		Paths map[string]map[string]struct {
			ID      string `json:"operationId"`
			Summary string `json:"summary"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(api.OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	_, index := get(t, h, "/docs/api")
	pages, anchors := map[string]string{"/docs/api": index}, map[string]string{}
	for _, m := range link.FindAllStringSubmatch(index, -1) {
		if m[2] != "" {
			anchors[m[2]] = m[1]
		}
		if pages[m[1]] == "" {
			_, pages[m[1]] = get(t, h, m[1])
		}
	}
	for path, methods := range document.Paths {
		for method, op := range methods {
			anchor := strings.NewReplacer(".", "-", "_", "-").Replace(op.ID)
			page := pages[anchors[anchor]]
			_, section, ok := strings.Cut(page, `id="`+anchor+`"`)
			section, _, _ = strings.Cut(section, "</section>")
			if !ok || !strings.Contains(section, strings.ToUpper(method)+" "+path) || !strings.Contains(section, "<h3>Who may call</h3><ul><li>") || !strings.Contains(section, "curl ") {
				t.Errorf("%s is not on the page %q", op.ID, anchors[anchor])
			}
		}
	}
	for at, page := range pages {
		if len(page) > maxPage {
			t.Errorf("%s has %d bytes, at most %d", at, len(page), maxPage)
		}
		ids := []string{}
		for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			ids = append(ids, m[1])
		}
		slices.Sort(ids)
		if n := len(ids); n != len(slices.Compact(ids)) {
			t.Errorf("%s has an id twice", at)
		}
		for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if !slices.Contains(ids, m[1]) {
				t.Errorf("%s leads to #%s, which it does not have", at, m[1])
			}
		}
		if strings.Contains(page, "A session of <") || strings.Contains(page, "$ref") || strings.Contains(page, "<script>") || strings.Contains(page, " style=") {
			t.Errorf("%s shows what is for programs", at)
		}
	}
	if len(pages) < 15 {
		t.Errorf("only %d pages", len(pages))
	}
}

// TestOperation: a page tells what an operation takes, from whom, with members of objects within, their values and what is needed,
// what it answers, and how a terminal calls it.
func TestOperation(t *testing.T) {
	t.Parallel()
	_, page := get(t, served(t), "/docs/api/checkout")
	_, section, _ := strings.Cut(page, `id="checkout-create"`)
	section, _, _ = strings.Cut(section, "</section>")
	text := regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(section, " "), " ")
	for _, want := range []string{"Anyone", "Idempotency-Key text in the header", "lines list of objects needed", "immediate_delivery true or false needed", "For example EUR",
		"201 Checkout", "429", `curl &#34;https://shop.example/v1/checkouts&#34;`, "&#34;terms&#34;: true"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if _, objects, _ := strings.Cut(page, `id="object-Checkout"`); !strings.Contains(objects, "awaiting_funds") || !strings.Contains(objects, "shown once") {
		t.Error("the answer is not described")
	}
}

// TestSearch: a search finds operations that have all of its words, says when there is none, and shows what was typed as text.
func TestSearch(t *testing.T) {
	t.Parallel()
	h := served(t)
	for query, want := range map[string]string{"Receipt+order": "#checkout-receipt", "POST+/v1/checkouts": "#checkout-create", "no+such+thing": "Nothing has all of these words", "%22%3E%3Cb%3E": `value="&#34;&gt;&lt;b&gt;"`} {
		code, page := get(t, h, "/docs/api?q="+query)
		if code != 200 || !strings.Contains(page, want) || strings.Contains(page, "#product-create") {
			t.Errorf("%s: %d, no %q", query, code, want)
		}
	}
	if code, _ := get(t, h, "/docs/api/nothing"); code != http.StatusNotFound {
		t.Errorf("an unknown tag answers %d", code)
	}
}

// TestPages_Refuses: a document that cannot be read is an error at the start.
func TestPages_Refuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "{", `{"paths": {"/x": {"get": {"operationId": "x.get"}}}}`,
		`{"paths": {"/x": {"post": {"operationId": "x.add", "tags": ["X"], "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/None"}}}}}}}}`} {
		if _, err := reference.Pages([]byte(bad), "https://shop.example"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
