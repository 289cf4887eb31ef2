package checkout_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/store/storetest"
	storefront "github.com/mintreu/mintreu/service/web/shop"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// pages serves the page of an order over the shop's own operations.
func (s *shop) pages(t *testing.T) *httptest.Server {
	t.Helper()
	f := kittest.NewFixture(t)
	f.Stack.Replays = s.deps.Tx.(kit.Replays)
	routes := slices.Concat(httpapi.CheckoutRoutes(s.Service), httpapi.CatalogRoutes(nil), httpapi.OrganisationRoutes(nil), httpapi.LicensingRoutes(httpapi.Licensing{}))
	mux, err := kit.NewMux(f.Stack, routes...)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := site.New(site.Config{Shop: ui.Shopfront{Name: "Ada's <shop>"}, BaseURL: "http://127.0.0.1", Key: make([]byte, 32), Auth: f.Stack.Auth, Routes: append(httpapi.AccountRoutes(nil), routes...)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := storefront.Pages(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if err := mux.Handle(p.Name, p.Pattern, whole.Handler(p)); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// browse sends what a browser would.
func browse(t *testing.T, method, address string, form url.Values, site string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", site)
	}
	jar, _ := cookiejar.New(nil)
	resp, err := (&http.Client{Jar: jar}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if h := resp.Header; resp.StatusCode < 400 && (h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'") || len(h.Values("Set-Cookie")) != 0) {
		t.Errorf("%s: header %v", address, h)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// TestC10_OrderPageTellsNothingWithoutTheCode guarantees that the page buyers come back to says the same of an order that exists and of
// one that does not, and that a code opens its own order alone.
func TestC10_OrderPageTellsNothingWithoutTheCode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		server := s.pages(t)
		mine, other := s.order(t, 1), s.order(t, 1)
		none := "ord_" + strings.Repeat("0", 32)
		text := map[string]string{}
		for _, id := range []string{mine.ID, none} {
			status, _, body := browse(t, "GET", server.URL+"/checkout/"+id, nil, "")
			if status != http.StatusOK {
				t.Errorf("%s: %d", id, status)
			}
			text[id] = strings.ReplaceAll(body, id, "ID")
		}
		if text[mine.ID] != text[none] || strings.Contains(text[none], "Ada's <shop>") {
			t.Errorf("the pages differ:\n%s\n%s", text[mine.ID], text[none])
		}
		for _, path := range []string{none + "?access=" + mine.Access, other.ID + "?access=" + mine.Access, mine.ID + "?access=x", "nonsense", "nonsense?access=" + mine.Access} {
			if status, _, body := browse(t, "GET", server.URL+"/checkout/"+path, nil, ""); status != http.StatusNotFound || strings.Contains(body, "Editor") {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
}

// TestOrderPageShowsAndRevealsOnce guarantees that whoever has the link of the mail sees the order become paid without a webhook, its
// license key, and, once, its API key; that a form of another site reveals nothing, and that the same form sent twice shows the same.
func TestOrderPageShowsAndRevealsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		server := s.pages(t)
		c := s.order(t, 1)
		link := must(s.Link(t.Context(), c.ID))(t)
		address := strings.Replace(link, "https://shop.example", server.URL, 1)
		if _, _, body := browse(t, "GET", address, nil, ""); !strings.Contains(body, `http-equiv="refresh"`) || !strings.Contains(body, c.URL) {
			t.Errorf("the waiting page does not look again or leads nowhere: %s", body)
		}
		s.bank.pay(c.ID)
		s.Clock.Advance(2 * time.Second)
		_, _, body := browse(t, "GET", address, nil, "")
		for _, want := range []string{"EDIT-", "Reveal API keys", "receipt.pdf?access=", "20.00"} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %q:\n%s", want, body)
			}
		}
		if strings.Contains(body, `http-equiv="refresh"`) {
			t.Error("a finished page looks again")
		}
		once := regexp.MustCompile(`name="once" value="([^"]+)"`).FindStringSubmatch(body)
		if once == nil {
			t.Fatal(body)
		}
		form := url.Values{"access": {c.Access}, "once": {once[1]}}
		if status, _, body := browse(t, "POST", server.URL+"/checkout/"+c.ID, form, "cross-site"); status != http.StatusForbidden || strings.Contains(body, "mtr_") {
			t.Errorf("U04: another site's form: %d", status)
		}
		keys := regexp.MustCompile(`mtr_[a-z]+_\w+`)
		_, _, first := browse(t, "POST", server.URL+"/checkout/"+c.ID, form, "same-origin")
		_, _, twice := browse(t, "POST", server.URL+"/checkout/"+c.ID, form, "same-origin")
		form.Set("once", "another-form-of-the-page")
		_, _, late := browse(t, "POST", server.URL+"/checkout/"+c.ID, form, "same-origin")
		if k := keys.FindString(first); k == "" || keys.FindString(twice) != k || keys.FindString(late) != "" || !strings.Contains(late, "revealed before") {
			t.Errorf("revealed %q, then %q, then %q", k, keys.FindString(twice), keys.FindString(late))
		}
		s.refund(t, c.ID, 700)
		_, _, body = browse(t, "GET", address, nil, "")
		file := regexp.MustCompile(`href="([^"]*credit-note\.html[^"]*)"`).FindStringSubmatch(body)
		want := "/checkout/" + c.ID + "/credit-note.html?access=" + c.Access + "&number=C2026-000001"
		if file == nil || html.UnescapeString(file[1]) != want || !strings.Contains(body, "Credit note C2026-000001 over 7.00 EUR") {
			t.Errorf("%q, want %q; the page leads to no credit note:\n%s", file, want, body)
		}
		s.sound(t)
	})
}
