package obs

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wreg-project/wreg/internal/httpx"
	"github.com/wreg-project/wreg/internal/version"
)

// Metrics of one server. All methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.Gauge
	sent     *prometheus.CounterVec
	received *prometheus.CounterVec
}

// NewMetrics makes the metrics of requests, of the Go runtime and of the process.
func NewMetrics() *Metrics {
	labels := []string{"endpoint", "method", "code"}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wreg_http_requests_total", Help: "Requests answered.",
		}, labels),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wreg_http_request_duration_seconds", Help: "Time until the answer was written.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120},
		}, []string{"endpoint", "method"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wreg_http_requests_running", Help: "Requests being handled now.",
		}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wreg_http_sent_bytes_total", Help: "Bytes of response bodies.",
		}, []string{"endpoint"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wreg_http_received_bytes_total", Help: "Bytes of request bodies.",
		}, []string{"endpoint"}),
	}
	v := version.Get()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wreg_build_info", Help: "One, labelled with the running build.",
		ConstLabels: prometheus.Labels{"version": v.Version, "commit": v.Commit, "go": v.Go},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.seconds, m.running, m.sent, m.received, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a metric whose value is asked for at each scrape. The name has to
// be new.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter is a Gauge whose value never falls.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Begin counts a request as running, for httpx.Options.
func (m *Metrics) Begin(*http.Request) { m.running.Inc() }

// Observe counts an answered request, for httpx.Options.
func (m *Metrics) Observe(r httpx.Record) {
	m.running.Dec()
	end, method := Endpoint(r.Request.URL.Path), knownMethod(r.Request.Method)
	m.requests.WithLabelValues(end, method, strconv.Itoa(r.Status)).Inc()
	m.seconds.WithLabelValues(end, method).Observe(r.Duration.Seconds())
	m.sent.WithLabelValues(end).Add(float64(r.Sent))
	m.received.WithLabelValues(end).Add(float64(r.Received))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// knownMethod keeps a client from inventing labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
