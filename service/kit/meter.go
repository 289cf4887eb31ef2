package kit

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the metrics of operations: mintreu_operations_total by operation and status, mintreu_operation_seconds by
// operation, mintreu_operations_in_flight. Labels are names of operations alone, never anything a caller sent.
type meters struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	flight  prometheus.Gauge
}

// newMeters registers the metrics, or joins those that another mux registered.
func newMeters(r prometheus.Registerer) (*meters, error) {
	m := &meters{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mintreu_operations_total", Help: "Operations answered, by operation and HTTP status."}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mintreu_operation_seconds", Help: "Time an operation took, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"operation"}),
		flight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mintreu_operations_in_flight", Help: "Operations under way."}),
	}
	var err error
	m.total, err = join(r, m.total, err)
	m.seconds, err = join(r, m.seconds, err)
	m.flight, err = join(r, m.flight, err)
	return m, err
}

// join registers c, or returns the collector that is registered in its place.
func join[C prometheus.Collector](r prometheus.Registerer, c C, before error) (C, error) {
	if before != nil {
		return c, before
	}
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if known, ok := already.ExistingCollector.(C); ok {
			return known, nil
		}
	}
	return c, err
}

// meter is the part of meters of one operation, with its label values resolved once.
type meter struct {
	total   *prometheus.CounterVec
	seconds prometheus.Observer
	flight  prometheus.Gauge
	counts  sync.Map // int status → prometheus.Counter
}

func (m *meters) of(operation string) *meter {
	return &meter{
		total:   m.total.MustCurryWith(prometheus.Labels{"operation": operation}),
		seconds: m.seconds.WithLabelValues(operation), flight: m.flight,
	}
}

func (m *meter) begin() { m.flight.Inc() }

func (m *meter) end(status int, took time.Duration) {
	m.flight.Dec()
	m.seconds.Observe(took.Seconds())
	count, ok := m.counts.Load(status)
	if !ok {
		count, _ = m.counts.LoadOrStore(status, m.total.WithLabelValues(strconv.Itoa(status)))
	}
	count.(prometheus.Counter).Inc()
}
