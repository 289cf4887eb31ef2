package telemetry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	tracing "go.opentelemetry.io/otel/trace"

	"github.com/mintreu/mintreu/service/dial"
)

// StartTracing sends traces to an OpenTelemetry collector over HTTP, at the
// endpoint's /v1/traces (OTLP 1.x). With an empty endpoint it does nothing. stop flushes what is
// waiting. What callers sent (paths, queries, addresses, browsers) is in no trace. It sets the process-wide tracer provider, which is where libraries look for it.
func StartTracing(ctx context.Context, endpoint, version string) (stop func(context.Context) error, err error) {
	if endpoint == "" {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"), otlptracehttp.WithHTTPClient(dial.TrustedClient()))
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry endpoint %q: %w", endpoint, err)
	}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(discreet{}), trace.WithBatcher(exporter),
		trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "mintreu"), attribute.String("service.version", version))))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown, nil
}

// told are the attributes in which instrumentation keeps what a caller sent: addresses hold the tokens of links in mails, the rest is
// personal. The pattern of the path, http.route, says enough of where a request went.
func told() []attribute.Key {
	return []attribute.Key{"url.path", "url.query", "url.full", "user_agent.original", "client.address", "network.peer.address", "http.target", "http.url", "http.user_agent", "http.client_ip"}
}

// discreet empties the attributes of requests that were received which hold what callers sent.
type discreet struct{}

var _ trace.SpanProcessor = discreet{}

// OnStart implements [trace.SpanProcessor]. Attributes that a span begins with are set by then.
func (discreet) OnStart(_ context.Context, s trace.ReadWriteSpan) {
	if s.SpanKind() != tracing.SpanKindServer {
		return
	}
	for _, key := range told() {
		if slices.ContainsFunc(s.Attributes(), func(a attribute.KeyValue) bool { return a.Key == key }) {
			s.SetAttributes(key.String(""))
		}
	}
}

// OnEnd implements [trace.SpanProcessor].
func (discreet) OnEnd(trace.ReadOnlySpan) {}

// Shutdown implements [trace.SpanProcessor].
func (discreet) Shutdown(context.Context) error { return nil }

// ForceFlush implements [trace.SpanProcessor].
func (discreet) ForceFlush(context.Context) error { return nil }
