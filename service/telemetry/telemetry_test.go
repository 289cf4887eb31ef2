package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel"

	"github.com/mintreu/mintreu/service/telemetry"
)

// canaries are credentials in each shape that the product or its neighbours use.
func canaries() map[string]string {
	return map[string]string{
		"token":    "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJsaWNfMSJ9.c2lnbmF0dXJlc2lnbmF0dXJl",
		"api key":  "mtr_test_abcdefghij_ABCDEFGHIJKLMNOPQRSTUVabcdef",
		"stripe":   "sk_live_51Habcdefgh",
		"webhook":  "whsec_c2VjcmV0c2VjcmV0",
		"license":  "MINT-ABCDE-FGH12-34567-89ABC-DEFGH-JKMNP",
		"header":   "Bearer c29tZXRoaW5nLXNlY3JldA",
		"link":     "https://shop.example/confirm?token=0123456789ABCDEFGHIJabcdefghij0123456789abc",
		"password": "postgres://mintreu:hunter2hunter2@db.example/mintreu",
	}
}

// TestM10_LogsHoldNoCredential: a credential in a message, a string, an error, a list, a structure or a nested group never reaches the log.
func TestM10_LogsHoldNoCredential(t *testing.T) {
	t.Parallel()
	for name, secret := range canaries() {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, "debug")
		if err != nil {
			t.Fatal(err)
		}
		log.With("outer", secret).WithGroup("g").Error("failed with "+secret, "text", "x "+secret, "err", errors.New("call: "+secret), "token", "short", "bytes", []byte(secret),
			"struct", struct{ Name string }{secret}, "list", []string{secret}, "map", map[string]any{"a": []any{secret}})
		if needle := secret[len(secret)/2:]; strings.Contains(out.String(), needle) || strings.Contains(out.String(), "short") {
			t.Errorf("%s leaks: %s", name, out.String())
		}
		if !strings.Contains(out.String(), `"level":"ERROR"`) {
			t.Errorf("%s: the line itself is lost: %s", name, out.String())
		}
	}
	if text := "order ord_0192f0c1a2b37c448d5e6f708192a3b4 paid"; telemetry.Scrub(text) != text {
		t.Error("an id was taken for a credential")
	}
}

// TestI13_LogLinesStayLines: control characters in a value cannot start a new line or colour a terminal.
func TestI13_LogLinesStayLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("x\r\n{\"level\":\"ERROR\"}", "ua", "a\nb\x1b[31m")
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("log: %q", out.String())
	}
}

// TestReadings: a reading appears with its value, and one that fails is left out of the scrape without breaking it.
func TestReadings(t *testing.T) {
	t.Parallel()
	r := telemetry.NewRegistry("1.2.3",
		telemetry.Reading{Name: "mintreu_good_seconds", Help: "Good.", Read: func(context.Context) (float64, error) { return 42, nil }},
		telemetry.Reading{Name: "mintreu_bad_seconds", Help: "Bad.", Read: func(context.Context) (float64, error) { return 0, errors.New("away") }})
	rec := httptest.NewRecorder()
	telemetry.Handler(r).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	body := rec.Body.String()
	if !strings.Contains(body, "\nmintreu_good_seconds 42\n") || strings.Contains(body, "mintreu_bad_seconds") || !strings.Contains(body, `mintreu_build_info{`) {
		t.Errorf("metrics:\n%s", body)
	}
}

// TestTracing: spans reach the collector when an endpoint is set.
func TestTracing(t *testing.T) {
	var got atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" && r.ContentLength > 0 {
			got.Add(1)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	stop, err := telemetry.StartTracing(t.Context(), collector.URL, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := stop(t.Context()); err != nil || got.Load() == 0 {
		t.Errorf("collector saw %d requests, %v", got.Load(), err)
	}
}
