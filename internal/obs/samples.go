package obs

import "github.com/prometheus/client_golang/prometheus"

// A Sample is one value of a metric with labels.
type Sample struct {
	Labels []string // values, in the order of the metric's labels
	Value  float64
}

// Gauges adds a metric with labels whose values are asked for at each scrape.
// The name has to be new; labels and their values have to be few, and none of a
// client's making.
func (m *Metrics) Gauges(name, help string, labels []string, values func() []Sample) {
	m.registry.MustRegister(&samples{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, values})
}

// Counters is a Gauges whose values never fall.
func (m *Metrics) Counters(name, help string, labels []string, values func() []Sample) {
	m.registry.MustRegister(&samples{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, values})
}

// samples is a collector of one metric.
type samples struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func() []Sample
}

// Describe implements prometheus.Collector.
func (s *samples) Describe(c chan<- *prometheus.Desc) { c <- s.desc }

// Collect implements prometheus.Collector.
func (s *samples) Collect(c chan<- prometheus.Metric) {
	for _, v := range s.values() {
		c <- prometheus.MustNewConstMetric(s.desc, s.kind, v.Value, v.Labels...)
	}
}
