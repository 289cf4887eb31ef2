package httpapi

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/service/telemetry"
)

// OpsHandler serves what only the operator may see, on a listener of its own that is never the public one: /metrics,
// /debug/pprof/, and the health checks again. More (alert rules, the jobs page) may be mounted by extra.
func OpsHandler(metrics prometheus.Gatherer, ready *Readiness, extra ...Raw) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", telemetry.Handler(metrics))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /healthz", live)
	mux.Handle("GET /readyz", ready)
	for _, raw := range extra {
		mux.Handle(raw.Pattern, raw.Handler)
	}
	return mux
}
