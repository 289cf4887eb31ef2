package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
	"github.com/mintreu/mintreu/service/walk"
)

// BenchmarkPath measures the whole path of a purchase, over HTTP: checkout, Stripe's API in the sandbox, payment page, signed
// webhook, fulfilment with license, API key, ledger, receipt and mail. Its base is one durable insert of a row on the same database.
func BenchmarkPath(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) {
			config := app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"}
			if engine == "postgres" {
				config.PostgresURL, config.RedisURL = storetest.PostgresURL(b), limittest.Redis(b)
			}
			a := serve(b, config)
			b.Run("base", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if err := a.PutSetting(b.Context(), fmt.Sprintf("bench.%d", i), []byte("x")); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("purchase", func(b *testing.B) {
				shopper, err := walk.NewShopper(b.Context(), walk.Params{BaseURL: a.BaseURL(), Operator: operator(a)})
				if err != nil {
					b.Fatal(err)
				}
				defer shopper.Close()
				for i := 0; b.Loop(); i++ {
					if err := shopper.Buy(b.Context(), fmt.Sprintf("buyer-%d@example.com", i)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "purchases/s")
			})
		})
	}
}

// serve runs the service until the benchmark ends.
func serve(b *testing.B, config app.Config) *app.App {
	b.Helper()
	b.Cleanup(app.RoomForGarbage())
	a, err := app.New(b.Context(), config, app.Options{Listen: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	<-a.Serving()
	return a
}

// operator calls operations in process.
func operator(a *app.App) func(ctx context.Context, method, path string, in, out any) error {
	h := a.OperatorHandler()
	return func(ctx context.Context, method, path string, in, out any) error {
		body := io.Reader(http.NoBody)
		if in != nil {
			text, err := json.Marshal(in)
			if err != nil {
				return err
			}
			body = strings.NewReader(string(text))
		}
		r := httptest.NewRequest(method, path, body).WithContext(ctx)
		if in != nil {
			r.Header.Set("Content-Type", "application/json")
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 300 {
			return fmt.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		return json.Unmarshal(rec.Body.Bytes(), out)
	}
}
