package telemetry

import (
	"context"
	_ "embed"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed alerts.yml
var alerts []byte

// Alerts returns the Prometheus alert rules, as YAML.
func Alerts() []byte { return append([]byte(nil), alerts...) }

// Reading is a gauge that is read when somebody looks: how long the oldest of something has waited. An error leaves the
// gauge out of that scrape.
type Reading struct {
	Name string // in Prometheus' spelling, with its unit: "mintreu_webhook_lag_seconds"
	Help string
	Read func(ctx context.Context) (float64, error)
}

// NewRegistry returns a registry with the process's own figures, the build, and the readings.
func NewRegistry(version string, readings ...Reading) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mintreu_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go": goVersion()}})
	build.Set(1)
	r.MustRegister(build)
	AddReadings(r, readings...)
	return r
}

// AddReadings registers readings whose sources came to be after the registry.
func AddReadings(r prometheus.Registerer, readings ...Reading) {
	for _, reading := range readings {
		r.MustRegister(&gauge{reading: reading, desc: prometheus.NewDesc(reading.Name, reading.Help, nil, nil)})
	}
}

func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "unknown"
}

// gauge is a Reading as a collector.
type gauge struct {
	reading Reading
	desc    *prometheus.Desc
}

// readTimeout bounds one reading, so that a slow database does not hang the scrape.
const readTimeout = 2 * time.Second

func (g *gauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

func (g *gauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	if v, err := g.reading.Read(ctx); err == nil {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v)
	}
}

// Handler serves the metrics in Prometheus' text format. What cannot be gathered is left out, and the rest is served.
func Handler(r prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
