package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// guest is a basket of somebody without an account.
func (s *surface) guest(email string) object {
	b := s.basket()
	b["email"] = email
	return b
}

// with is a copy of a basket whose one line has another member.
func with(basket object, member string, value any) object {
	out := maps.Clone(basket)
	line := maps.Clone(out["lines"].([]any)[0].(object))
	line[member] = value
	out["lines"] = []any{line}
	return out
}

// TestC01_BuyersSetNoPrice: a basket that says what it costs, as a whole or in a line, is refused and makes no order; one without is charged
// the price of the catalogue.
func TestC01_BuyersSetNoPrice(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before := len(s.list(cli, "/v1/orders"))
		for _, name := range []string{"total", "amount", "subtotal", "tax", "discount", "voucher", "coupon", "price", "paid", "state", "owner", "env", "environment", "livemode", "metadata"} {
			for _, value := range []any{0, 1, "1", object{"amount": 1, "currency": "EUR"}} {
				whole := s.guest("c01@example.com")
				whole[name] = value
				bodies := []object{whole}
				if name != "price" || value != "1" {
					bodies = append(bodies, with(s.guest("c01@example.com"), name, value))
				}
				for _, body := range bodies {
					if a := s.send(request{Method: "POST", Path: "/v1/checkouts", Body: body}); a.Code != http.StatusBadRequest {
						t.Errorf("%s=%v answered %d: %s", name, value, a.Code, a.Body)
					}
				}
			}
		}
		if after := len(s.list(cli, "/v1/orders")); after != before {
			t.Errorf("%d orders were made", after-before)
		}
		var out struct{ Total struct{ Amount int64 } }
		s.must(request{Method: "POST", Path: "/v1/checkouts", Body: s.guest("c01@example.com")}, &out)
		if out.Total.Amount != 4900 {
			t.Errorf("the catalogue's price became %d", out.Total.Amount)
		}
	})
}

// TestC02_Quantities: a quantity that is no whole number from 1 to 100, in whatever spelling, is refused and makes no order.
func TestC02_Quantities(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before := len(s.list(cli, "/v1/orders"))
		for _, quantity := range []string{"-1", "0", "1.5", "1e9", "1000000000", "9223372036854775807", "9223372036854775808", "18446744073709551617", "-9223372036854775809", `"1e2"`, `"1"`, `""`, "null", "true", "[1]", "{}", "101", "-0.5", "0.1", "1e400", "NaN", "Infinity", "01", "+1", "0x1"} {
			body, err := json.Marshal(with(s.guest("c02@example.com"), "quantity", "QUANTITY"))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(body), `"QUANTITY"`, quantity, 1)
			if a := s.send(request{Method: "POST", Path: "/v1/checkouts", Body: text}); a.Code != http.StatusBadRequest {
				t.Errorf("quantity %s answered %d: %s", quantity, a.Code, a.Body)
			}
		}
		if after := len(s.list(cli, "/v1/orders")); after != before {
			t.Errorf("%d orders were made", after-before)
		}
	})
}

// TestC03_PriceMovedOrMissing: a basket with a plan that is not sold in its currency, or at a price that has changed or was archived since it
// was shown, is answered 409 and makes no order.
func TestC03_PriceMovedOrMissing(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		refused := func(what string, body object, code string) {
			t.Helper()
			a := s.send(request{Method: "POST", Path: "/v1/checkouts", Body: body})
			if a.Code != http.StatusConflict || a.code() != code {
				t.Errorf("%s answered %d: %s", what, a.Code, a.Body)
			}
		}
		before := len(s.list(cli, "/v1/orders"))
		yen := s.guest("c03@example.com")
		yen["currency"] = "JPY"
		refused("a currency that it is not sold in", yen, "no-price")
		dollars := s.guest("c03@example.com")
		dollars["currency"] = "USD"
		refused("the price of another currency", dollars, "price-changed")
		refused("a price that does not exist", with(s.guest("c03@example.com"), "price", nothing(s.Price)), "price-changed")
		var proposed struct{ ID string }
		s.must(request{Method: "POST", Path: "/v1/plans/" + s.Plan + "/prices", As: s.Staff[licensing.RoleAdmin], Body: object{"price": object{"amount": 5900, "currency": "EUR"}}}, &proposed)
		s.must(request{Method: "POST", Path: "/v1/prices/" + proposed.ID + "/approve", As: s.Staff[licensing.RoleFinance]}, nil)
		refused("a price that has changed", s.guest("c03@example.com"), "price-changed")
		s.must(request{Method: "POST", Path: "/v1/prices/" + proposed.ID + "/archive", As: s.Staff[licensing.RoleAdmin]}, nil)
		refused("a price that was archived", with(s.guest("c03@example.com"), "price", proposed.ID), "no-price")
		if after := len(s.list(cli, "/v1/orders")); after != before {
			t.Errorf("%d orders were made", after-before)
		}
	})
}

// TestC08_DoubleSubmit: the same basket under the same Idempotency-Key, sent eight times at once, is one order with one payment page; another
// basket under that key is refused, and the key of one caller is nothing to another.
func TestC08_DoubleSubmit(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		key := http.Header{"Idempotency-Key": {"0198c5f2-7d7c-7c3c-8f5c-7f1d2a3b4c5d"}}
		before := len(s.list(cli, "/v1/orders"))
		answers := make([]answer, 8)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = s.send(request{Method: "POST", Path: "/v1/checkouts", Body: s.guest("c08@example.com"), Header: key})
			})
		}
		wg.Wait()
		orders, pages := map[string]bool{}, map[string]bool{}
		for _, a := range answers {
			var out struct{ ID, URL string }
			if a.Code == http.StatusCreated && json.Unmarshal(a.Body.Bytes(), &out) == nil {
				orders[out.ID] = true
				if out.URL != "" {
					pages[out.URL] = true
				}
			} else if a.code() != "idempotency-key-busy" {
				t.Errorf("answered %d: %s", a.Code, a.Body)
			}
		}
		if len(orders) != 1 || len(pages) != 1 {
			t.Errorf("%d orders and %d payment pages", len(orders), len(pages))
		}
		if after := len(s.list(cli, "/v1/orders")); after != before+1 {
			t.Errorf("%d orders were made", after-before)
		}
		other := s.guest("c08@example.com")
		other["country"] = "FR"
		if a := s.send(request{Method: "POST", Path: "/v1/checkouts", Body: other, Header: key}); a.Code != http.StatusUnprocessableEntity || a.code() != "idempotency-key-reused" {
			t.Errorf("another basket answered %d: %s", a.Code, a.Body)
		}
		var mine struct{ ID string }
		s.must(request{Method: "POST", Path: "/v1/checkouts", As: s.Staff[licensing.RoleSupport], Body: s.guest("c08b@example.com"), Header: key}, &mine)
		if orders[mine.ID] {
			t.Error("another caller's key led to the guest's order")
		}
	})
}

// TestC09_SuccessPageGivesNothing: going to the page after payment without having paid, or asking for keys, gives nothing.
func TestC09_SuccessPageGivesNothing(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		licenses := len(s.list(cli, "/v1/licenses"))
		var o struct{ ID, Access string }
		s.must(request{Method: "POST", Path: "/v1/checkouts", Body: s.guest("c09@example.com")}, &o)
		for _, path := range []string{"/checkout/" + o.ID, "/checkout/" + o.ID + "?access=" + o.Access, "/checkout/" + o.ID + "?session_id=cs_test_x&payment_status=paid"} {
			w := httptest.NewRecorder()
			s.app.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			if w.Code >= 500 || strings.Contains(w.Body.String(), "ALPHA-") {
				t.Errorf("%s answered %d: %.300s", path, w.Code, w.Body)
			}
		}
		for range 3 {
			s.clock.Advance(2e9)
			var c struct {
				State  string
				Grants []any
			}
			s.must(request{Method: "GET", Path: "/v1/checkouts/" + o.ID + "?access=" + o.Access}, &c)
			if c.State != "pending" || len(c.Grants) != 0 {
				t.Errorf("without payment the order is %s with %d grants", c.State, len(c.Grants))
			}
		}
		var keys struct{ Keys []any }
		if a := s.send(request{Method: "POST", Path: "/v1/checkouts/" + o.ID + "/reveal", Body: object{"access": o.Access}}); a.Code < 300 {
			_ = json.Unmarshal(a.Body.Bytes(), &keys)
		}
		if len(keys.Keys) != 0 {
			t.Errorf("%d keys were revealed", len(keys.Keys))
		}
		if a := s.send(request{Method: "GET", Path: "/v1/checkouts/" + o.ID + "/receipt?access=" + o.Access}); a.Code < 400 {
			t.Errorf("there is a receipt: %d", a.Code)
		}
		if now := len(s.list(cli, "/v1/licenses")); now != licenses {
			t.Errorf("%d licenses were issued", now-licenses)
		}
	})
}

// TestC10_AnothersCheckout: the page after payment with the order of somebody else shows nothing of it, and the order itself is answered as
// one that does not exist, without access code, with one's own, and with a guessed one.
func TestC10_AnothersCheckout(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for _, as := range []string{"", s.A.Session} {
			for _, access := range []string{"", "?access=" + s.A.Access, "?access=" + strings.Repeat("A", len(s.B.Access)), "?access=" + s.B.Access[:len(s.B.Access)-1]} {
				theirs := s.send(request{Method: "GET", Path: "/v1/checkouts/" + s.B.Order + access, As: as})
				none := s.send(request{Method: "GET", Path: "/v1/checkouts/" + nothing(s.B.Order) + access, As: as})
				if theirs.Code != http.StatusNotFound || theirs.text() != none.text() {
					t.Errorf("%q: %s, and for none %s", access, theirs.text(), none.text())
				}
			}
			r := httptest.NewRequest(http.MethodGet, "/checkout/"+s.B.Order, nil)
			r.Header.Set("Authorization", as)
			w := httptest.NewRecorder()
			s.app.Handler().ServeHTTP(w, r)
			for _, secret := range []string{s.B.Email, s.B.Key, s.B.License, s.B.Access} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("the page tells %s", secret)
				}
			}
		}
	})
}

// TestC11_ForeignReturnPages: a page to return to that lies neither on the service nor on a configured storefront, however it is spelled, is
// refused and makes no order; the right ones are taken.
func TestC11_ForeignReturnPages(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	before := len(s.list(cli, "/v1/orders"))
	host := strings.TrimPrefix(s.base, "http://")
	for i, page := range []string{"https://evil.example/", "//evil.example/", "https:evil.example", "https:/evil.example", `https:\\evil.example`, `https://shop.example\@evil.example`, "https://shop.example@evil.example/",
		"https://shop.example.evil.example/", "https://shop.example:8443/", "http://shop.example/", "https://SHOP.example/", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "/relative", "relative", "?x", "#x",
		"https://user:pass@shop.example/", "https://shop.example%2eevil.example/", "https://shop.example\t.evil.example/", "https://shop.example\r\nLocation: https://evil.example", " https://shop.example/", "https://shop.example/ x",
		"ftp://shop.example/", "https://[::1]/", "https://127.0.0.1/", "http://" + host + ".evil.example/", "http://" + host + "@evil.example/", "https://" + host + "/", "https://shop.example/" + strings.Repeat("a", 2000), "https://ѕhop.example/", "https://shop。example/"} {
		for _, member := range []string{"success_url", "cancel_url"} {
			body := s.guest(fmt.Sprintf("c11-%d@example.com", i))
			body[member] = page
			if a := s.send(request{Method: "POST", Path: "/v1/checkouts", Body: body}); a.Code != http.StatusBadRequest || strings.Contains(a.Body.String(), "evil.example") {
				t.Errorf("%s %q answered %d: %s", member, page, a.Code, a.Body)
			}
		}
	}
	if after := len(s.list(cli, "/v1/orders")); after != before {
		t.Errorf("%d orders were made", after-before)
	}
	for _, page := range []string{"https://shop.example/thanks?x=1", s.base + "/thanks"} {
		body := s.guest("c11@example.com")
		body["success_url"] = page
		s.must(request{Method: "POST", Path: "/v1/checkouts", Body: body}, nil)
	}
}

// TestS08_RefusalsAreUniform: an unknown license key, the key of a suspended or revoked license, a key of another product, and one that is
// malformed are answered alike: status, headers and body; so nobody learns which keys exist.
func TestS08_RefusalsAreUniform(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		ask := func(key, product string) answer {
			return s.send(request{Method: "POST", Path: "/v1/activations", As: "License " + key, Body: object{"product": product, "env": "test", "device": device("z")}})
		}
		owner := s.Staff[licensing.RoleOwner]
		s.must(request{Method: "POST", Path: "/v1/licenses/" + s.B.License + "/suspend", As: owner, Body: object{"reason": "r"}}, nil)
		unknown := s.B.Key[:len(s.B.Key)-5] + "00000"
		want := ask(unknown, s.Slug)
		if want.Code != http.StatusUnauthorized {
			t.Errorf("an unknown key answered %d: %s", want.Code, want.Body)
		}
		same := func(what string, a answer) {
			t.Helper()
			if a.text() != want.text() || headers(a) != headers(want) {
				t.Errorf("%s is told from an unknown key:\n%s %s\n%s %s", what, a.text(), headers(a), want.text(), headers(want))
			}
		}
		same("a suspended license", ask(s.B.Key, s.Slug))
		same("the token of a suspended license", ask(s.B.Token, s.Slug))
		same("a key of another product", ask(s.A.Key, s.BetaSlug))
		same("a key for a product that does not exist", ask(s.A.Key, "nothing"))
		same("an unknown key of another product", ask(unknown, s.BetaSlug))
		same("no key at all", ask("x", s.Slug))
		same("a key of a wrong form", ask("ALPHA-00000", s.Slug))
		same("a token that nobody signed", ask("eyJhbGciOiJFZERTQSJ9.e30.AAAA", s.Slug))
		same("an API key", ask(s.A.APIKey, s.Slug))
		s.must(request{Method: "POST", Path: "/v1/licenses/" + s.B.License + "/revoke", As: owner, Body: object{"reason": "r"}}, nil)
		same("a revoked license", ask(s.B.Key, s.Slug))
		if a := ask(s.A.Key, s.Slug); a.Code != http.StatusOK {
			t.Errorf("a good key answered %d: %s", a.Code, a.Body)
		}
	})
}
