package bench_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/walk"
)

// BenchmarkPage serves pages that people wait for, in a shop that sells something, each in turn with a page of fixed text on the same stack:
// that of signing up, a form that goes the same way, is as long as the others within a factor of two, and asks nobody. A page may take
// 3.3 times as long (0.3 × its pages a second). One account is new, one
// has an order, a license and an API key.
func BenchmarkPage(b *testing.B) {
	a := serve(b, app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"})
	shopper, err := walk.NewShopper(b.Context(), walk.Params{BaseURL: a.BaseURL(), Operator: operator(a)})
	if err != nil {
		b.Fatal(err)
	}
	defer shopper.Close()
	session, buyer := customer(b, a, "ada@example.com"), customer(b, a, "grace@example.com")
	if err := shopper.Buy(b.Context(), "grace@example.com"); err != nil {
		b.Fatal(err)
	}
	if page := visit(b, a, "/account", buyer); !strings.Contains(page, "Recent orders") {
		b.Fatal("the account shows no order")
	}
	page := func(at, as string) func() {
		return func() { visit(b, a, at, as) }
	}
	constant := len(visit(b, a, "/sign-up", ""))
	for _, p := range []struct{ name, at, as string }{{"home", "/", ""}, {"catalogue", "/catalogue", ""}, {"product", "/catalogue/acme-notes", ""}, {"account", "/account", session},
		{"account-in-use", "/account", buyer}} {
		if n := len(visit(b, a, p.at, p.as)); n > 2*constant || 2*n < constant {
			b.Fatalf("%s has %d bytes, the page beside it %d", p.at, n, constant)
		}
		b.Run(p.name, func(b *testing.B) { beside(b, page("/sign-up", ""), page(p.at, p.as)) })
	}
}

// visit is the text of a page as whoever holds a session sees it. It waits where the ceiling of operations that the process sets itself is
// reached; a median does not feel it.
func visit(b *testing.B, a *app.App, at, session string) string {
	for {
		r := httptest.NewRequest(http.MethodGet, at, nil)
		r.Header.Set("Accept", "text/html")
		if session != "" {
			r.AddCookie(&http.Cookie{Name: "mintreu-session", Value: session})
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			return w.Body.String()
		case http.StatusTooManyRequests:
			time.Sleep(time.Second)
		default:
			b.Fatalf("%s answered %d", at, w.Code)
		}
	}
}

// customer makes a customer and returns the text of a session.
func customer(b *testing.B, a *app.App, email string) string {
	b.Helper()
	const password = "a bench in the shade 8"
	call := operator(a)
	var person struct{ ID string }
	var ignored json.RawMessage
	ctx := context.WithoutCancel(b.Context())
	if err := call(ctx, http.MethodPost, "/v1/staff", map[string]any{"email": email, "role": "support", "password": password}, &person); err != nil {
		b.Fatal(err)
	}
	if err := call(ctx, http.MethodPut, "/v1/staff/"+person.ID+"/role", map[string]any{"role": "", "reason": "a customer"}, &ignored); err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/sessions", strings.NewReader(`{"email": "`+email+`", "password": "`+password+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	var in struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &in); err != nil || in.Token == "" {
		b.Fatalf("signing in answered %d %s", w.Code, w.Body)
	}
	return in.Token
}
