package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// public makes the public handler without modules.
func public(t *testing.T, ready *httpapi.Readiness, raws ...httpapi.Raw) (http.Handler, *kittest.Fixture) {
	t.Helper()
	f := kittest.NewFixture(t)
	h, err := httpapi.Handler(httpapi.Deps{Stack: f.Stack, Raws: raws, Readiness: ready})
	if err != nil {
		t.Fatal(err)
	}
	return h, f
}

func get(h http.Handler, target string, headers ...string) *http.Response {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestM14_OpsIsSeparate: metrics and profiles are on the operator's handler and nowhere on the public one.
func TestM14_OpsIsSeparate(t *testing.T) {
	t.Parallel()
	h, f := public(t, httpapi.NewReadiness())
	ops := httpapi.OpsHandler(f.Registry, httpapi.NewReadiness())
	get(h, "/healthz")
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol"} {
		if resp := get(h, path); resp.StatusCode != 404 {
			t.Errorf("the public handler answers %s with %d", path, resp.StatusCode)
		}
		if resp := get(ops, path); resp.StatusCode != 200 {
			t.Errorf("the operator's handler answers %s with %d", path, resp.StatusCode)
		}
	}
	if got := text(t, get(ops, "/metrics")); !strings.Contains(got, `mintreu_operations_total{operation="health.live",status="200"} 1`) {
		t.Errorf("the metrics do not count: %s", got)
	}
	if resp := get(ops, "/v1/widgets"); resp.StatusCode != 404 {
		t.Error("the operator's listener serves the API")
	}
}

// TestReadiness: ready is 200 while all checks pass, 503 with the failed check's name, and not its error, when one does not; live
// does not care.
func TestReadiness(t *testing.T) {
	t.Parallel()
	var failing bool
	ready := httpapi.NewReadiness(
		httpapi.Check{Name: "database", Run: func(context.Context) error {
			if failing {
				return errors.New("password of host db1 refused")
			}
			return nil
		}},
		httpapi.Check{Name: "keys", Run: func(context.Context) error { return nil }})
	h, _ := public(t, ready)
	if resp := get(h, "/readyz"); resp.StatusCode != 200 {
		t.Errorf("ready answers %d", resp.StatusCode)
	}
	failing = true
	resp := get(h, "/readyz")
	if got := text(t, resp); resp.StatusCode != 503 || !strings.Contains(got, `["database"]`) || strings.Contains(got, "db1") {
		t.Errorf("not ready answers %d %s", resp.StatusCode, got)
	}
	failing = false
	ready.Drain()
	if resp := get(h, "/readyz"); resp.StatusCode != 503 {
		t.Errorf("draining answers %d", resp.StatusCode)
	}
	if resp := get(h, "/healthz"); resp.StatusCode != 200 {
		t.Errorf("live answers %d", resp.StatusCode)
	}
}

// TestOpenAPIIsServed: the document served is the committed one, and any page may read it.
func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	resp := get(h, "/openapi.json")
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("answered %d", resp.StatusCode)
	}
	kittest.Load(t, []byte(text(t, resp)))
}

// TestHandlerRefusesConflicts: two handlers for one path, or no readiness, are errors at the start.
func TestHandlerRefusesConflicts(t *testing.T) {
	t.Parallel()
	f := kittest.NewFixture(t)
	taken := httpapi.Raw{Name: "x.y", Pattern: "GET /healthz", Handler: http.NotFoundHandler()}
	if _, err := httpapi.Handler(httpapi.Deps{Stack: f.Stack, Readiness: httpapi.NewReadiness(), Raws: []httpapi.Raw{taken}}); err == nil {
		t.Error("a path was taken twice")
	}
	if _, err := httpapi.Handler(httpapi.Deps{Stack: f.Stack}); err == nil {
		t.Error("no readiness")
	}
}
