package pg

import (
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
)

// Tracing returns a tracer for [Config.Tracer] that makes a span of each query. Parameters are not recorded, since they hold
// personal data and secrets.
func Tracing(provider trace.TracerProvider) pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(provider))
}
