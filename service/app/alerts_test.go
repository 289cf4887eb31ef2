package app_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/telemetry"
)

// TestAlertsWatchWhatExists: every operation and metric that an alert rule names is one that the service has, so that no rule can
// stay silent for a spelling.
func TestAlertsWatchWhatExists(t *testing.T) {
	t.Parallel()
	a, err := app.New(t.Context(), app.Config{DataDir: t.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"}, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	names := []string{"webhook.stripe"}
	for _, r := range httpapi.Routes(httpapi.Services{}) {
		names = append(names, r.Spec().Name)
	}
	rules := string(telemetry.Alerts())
	for _, m := range regexp.MustCompile(`operation=~"([^"]+)"`).FindAllStringSubmatch(rules, -1) {
		for _, name := range strings.Split(m[1], "|") {
			if !slices.Contains(names, name) {
				t.Errorf("a rule watches %q, which is no operation", name)
			}
		}
	}
	a.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/catalog", nil)) // counts once
	rec := httptest.NewRecorder()
	a.OpsHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, metric := range regexp.MustCompile(`mintreu_[a-z_]+`).FindAllString(rules, -1) {
		if !strings.Contains(rec.Body.String(), "\n"+metric) {
			t.Errorf("a rule watches %s, which the service does not export", metric)
		}
	}
}
