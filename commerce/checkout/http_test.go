package checkout_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// serve serves the shop's operations of checkout and catalogue over HTTP.
func (s *shop) serve(t *testing.T) *httptest.Server {
	t.Helper()
	f := kittest.NewFixture(t)
	mux, err := kit.NewMux(f.Stack, append(httpapi.CheckoutRoutes(s.Service), httpapi.CatalogRoutes(s.catalog)...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range httpapi.ReceiptFiles(s.Service) {
		if err := mux.Handle(raw.Name, raw.Pattern, raw.Handler); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// call sends a request and returns status, header and body.
func call(t *testing.T, method, url, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// TestC01_ClientCannotNameAPrice guarantees that a basket which says what it costs is refused as not understood, whichever word it
// uses and wherever; and TestC02: that quantities which are not plain whole numbers are.
func TestC01_ClientCannotNameAPrice(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	url := s.serve(t).URL + "/v1/checkouts"
	basket := func(line, more string) string {
		return fmt.Sprintf(`{"lines":[{"plan":%q%s}],"currency":"EUR","email":"ada@example.com","consent":{"terms":true,"immediate_delivery":true}%s}`, s.plan.ID, line, more)
	}
	for _, member := range []string{`"amount":1`, `"unit":1`, `"unit_price":{"amount":1,"currency":"EUR"}`, `"total":1`, `"discount":100`, `"Quantity":2`, `"quantity":1`} {
		if status, _, text := call(t, "POST", url, basket(`,"quantity":1,`+member, "")); status != 400 {
			t.Errorf("line with %s: %d %s", member, status, text)
		}
	}
	for _, member := range []string{`"total":1`, `"price":1`, `"subtotal":1`, `"discount":{"amount":1,"currency":"EUR"}`, `"tax":0`, `"coupon":"x"`, `"env":"test"`, `"owner":"cus_1"`, `"currency":"USD"`} {
		if status, _, text := call(t, "POST", url, basket(`,"quantity":1`, ","+member)); status != 400 {
			t.Errorf("basket with %s: %d %s", member, status, text)
		}
	}
	if n := s.count(t, `orders`); n != 0 {
		t.Errorf("%d orders were made", n)
	}
}

// TestC02_OddQuantitiesRefusedOverHTTP guarantees that a quantity is a plain whole number in bounds and nothing else.
func TestC02_OddQuantitiesRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	url := s.serve(t).URL + "/v1/checkouts"
	for _, quantity := range []string{`-1`, `0`, `1.5`, `1.0`, `1e9`, `1e0`, `9223372036854775808`, `"1e2"`, `"1"`, `null`, `true`, `[1]`, `{}`, `NaN`, `0x1`, `01`, ``} {
		body := fmt.Sprintf(`{"lines":[{"plan":%q,"quantity":%s}],"currency":"EUR","email":"ada@example.com","consent":{"terms":true,"immediate_delivery":true}}`, s.plan.ID, quantity)
		if status, _, text := call(t, "POST", url, body); status != 400 {
			t.Errorf("quantity %s: %d %s", quantity, status, text)
		}
	}
	if n := s.count(t, `orders`); n != 0 {
		t.Errorf("%d orders were made", n)
	}
}

// TestPathOverHTTP guarantees the guest's path over the JSON API: browse, buy, pay, see keys and receipt, be refunded; the files
// of receipt and credit note open by the access code and by nothing else, and carry headers that keep them to themselves.
func TestPathOverHTTP(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	base := s.serve(t).URL
	status, header, text := call(t, "GET", base+"/v1/catalog", "")
	if status != 200 || !strings.Contains(text, s.plan.ID) || !strings.Contains(header.Get("Cache-Control"), "public") {
		t.Fatalf("%d %s %s", status, header.Get("Cache-Control"), text)
	}
	status, _, text = call(t, "POST", base+"/v1/checkouts",
		fmt.Sprintf(`{"lines":[{"plan":%q,"quantity":1}],"currency":"EUR","email":"ada@example.com","consent":{"terms":true,"immediate_delivery":true}}`, s.plan.ID))
	var made struct{ ID, Access, URL string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != 201 || made.Access == "" || made.URL == "" {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if status, _, _ := call(t, "GET", base+"/v1/checkouts/"+made.ID+"/receipt.pdf?access="+made.Access, ""); status != 409 {
		t.Errorf("receipt of an unpaid order: %d", status)
	}
	s.bank.pay(made.ID)
	s.Clock.Advance(2e9)
	status, _, text = call(t, "GET", base+"/v1/checkouts/"+made.ID+"?access="+made.Access, "")
	if status != 200 || !strings.Contains(text, `"state":"fulfilled"`) || !strings.Contains(text, `"key":"EDIT-`) {
		t.Fatalf("%d %s", status, text)
	}
	for format, start := range map[string]string{"html": "<!doctype html>", "pdf": "%PDF-"} {
		at := base + "/v1/checkouts/" + made.ID + "/receipt." + format
		status, header, text := call(t, "GET", at+"?access="+made.Access, "")
		if status != 200 || !strings.HasPrefix(text, start) || header.Get("Cache-Control") != "private, no-store" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", format, status, header)
		}
		for _, wrong := range []string{"", "?access=", "?access=x", "?access=" + made.Access + "x"} {
			if status, _, _ := call(t, "GET", at+wrong, ""); status != 404 {
				t.Errorf("%s with %q: %d", format, wrong, status)
			}
		}
	}
	if _, _, text := call(t, "GET", base+"/v1/checkouts/"+made.ID+"/receipt.html?access="+made.Access, ""); !strings.Contains(text, "shop.example") {
		t.Error("the receipt does not say who sold")
	}
	if status, _, text := call(t, "POST", base+"/v1/checkouts/"+made.ID+"/reveal", fmt.Sprintf(`{"access":%q}`, made.Access)); status != 200 || !strings.Contains(text, `"key":"mtr_live_`) {
		t.Errorf("reveal: %d %s", status, text)
	}
	s.refund(t, made.ID, 700)
	for format, start := range map[string]string{"html": "<!doctype html>", "pdf": "%PDF-"} {
		at := base + "/v1/checkouts/" + made.ID + "/credit-note." + format + "?number=C2026-000001"
		status, header, text := call(t, "GET", at+"&access="+made.Access, "")
		if status != 200 || !strings.HasPrefix(text, start) || header.Get("Cache-Control") != "private, no-store" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") ||
			header.Get("Content-Disposition") != `inline; filename="credit-note-c2026-000001.`+format+`"` {
			t.Errorf("%s: %d %v", format, status, header)
		}
		for _, wrong := range []string{"", "&access=", "&access=x", "&access=" + made.Access + "x"} {
			if status, _, _ := call(t, "GET", at+wrong, ""); status != 404 {
				t.Errorf("credit note, %s with %q: %d", format, wrong, status)
			}
		}
	}
	link, err := s.Link(t.Context(), made.ID)
	if err != nil || !strings.HasSuffix(link, "/checkout/"+made.ID+"?access="+made.Access) {
		t.Errorf("link %s, %v", link, err)
	}
}
