// Package httpapi is the JSON API: one file a module with its operations, one line an operation, and beside them the few raw
// handlers (webhooks, metrics, health) that are no operations. [Handler] assembles what the public listener serves,
// [OpsHandler] what only the operator's listener does, and [Server] runs both and ends them gracefully.
//
// To add an operation: write the Service's method, add a line to the module's Routes here, run
//
//	go test ./service/httpapi -run TestGolden -update
//
// and commit api/openapi.json with it.
package httpapi

import (
	"errors"
	"net/http"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/service/kit"
)

// Raw is a handler that is no operation: a webhook, a download, a page. It authenticates by itself.
type Raw struct {
	// Name is "noun.verb", for log and metrics.
	Name string
	// Pattern is ServeMux's: "POST /v1/webhooks/stripe", "/docs/", "/" for everything else.
	Pattern string
	Handler http.Handler
}

// Deps are what the public handler is made of.
type Deps struct {
	Stack  kit.Stack
	Routes []kit.Route
	Raws   []Raw
	// Readiness is asked by GET /readyz.
	Readiness *Readiness
}

// Handler assembles the public handler: operations, raw handlers, /healthz, /readyz and /openapi.json. It fails when a route is wrong or
// a path is taken twice.
func Handler(d Deps) (http.Handler, error) {
	mux, err := kit.NewMux(d.Stack, d.Routes...)
	if err != nil {
		return nil, err
	}
	if d.Readiness == nil {
		return nil, errors.New("httpapi: no Readiness")
	}
	raws := append([]Raw{
		{"health.live", "GET /healthz", http.HandlerFunc(live)},
		{"health.ready", "GET /readyz", d.Readiness},
		{"api.document", "GET /openapi.json", document(api.OpenAPI())},
	}, d.Raws...)
	for _, raw := range raws {
		if err := mux.Handle(raw.Name, raw.Pattern, raw.Handler); err != nil {
			return nil, errors.Join(errors.New("httpapi: "+raw.Name), err)
		}
	}
	return mux, nil
}

// live says that the process runs; nothing more.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(`{"status":"live"}`))
}

// document serves the OpenAPI document. It is public, so that any page may read it.
func document(text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		_, _ = w.Write(text)
	})
}
