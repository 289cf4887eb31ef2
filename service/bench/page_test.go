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

// BenchmarkPage serves pages that people wait for, in a shop that sells something. The base is a page with fixed text on the same stack, which
// asks nobody: that of signing up. A page that takes three times as long is as slow as one may be.
func BenchmarkPage(b *testing.B) {
	a := serve(b, app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"})
	shopper, err := walk.NewShopper(b.Context(), walk.Params{BaseURL: a.BaseURL(), Operator: operator(a)})
	if err != nil {
		b.Fatal(err)
	}
	defer shopper.Close()
	session := customer(b, a)
	for _, page := range []struct{ name, at, as string }{{"base", "/sign-up", ""}, {"home", "/", ""}, {"catalogue", "/catalogue", ""}, {"product", "/catalogue/acme-notes", ""},
		{"account", "/account", session}} {
		b.Run(page.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, page.at, nil)
				r.Header.Set("Accept", "text/html")
				if page.as != "" {
					r.AddCookie(&http.Cookie{Name: "mintreu-session", Value: page.as})
				}
				w := httptest.NewRecorder()
				a.Handler().ServeHTTP(w, r)
				for w.Code == http.StatusTooManyRequests { // the ceiling of operations that the process sets itself
					b.StopTimer()
					time.Sleep(time.Second)
					w = httptest.NewRecorder()
					b.StartTimer()
					a.Handler().ServeHTTP(w, r)
				}
				if w.Code != http.StatusOK {
					b.Fatalf("%s answered %d", page.at, w.Code)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

// customer makes a customer and returns the text of a session.
func customer(b *testing.B, a *app.App) string {
	b.Helper()
	const email, password = "ada@example.com", "a bench in the shade 8"
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
