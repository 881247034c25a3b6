package s3

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	counting "github.com/talos-log/talos/talos/metrics"
)

// metrics is what only this store can count; talos/metrics describes it.
type metrics struct {
	counting.Set
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{}
	m.requests = m.Counters("talos_s3_requests_total", 2)
	m.seconds = m.Histograms("talos_s3_request_seconds", 1)
	return m
}

// Describe makes the store a prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) { s.metrics.Describe(ch) }

// Collect makes the store a prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) { s.metrics.Collect(ch) }

// count returns what puts itself around a transport, and around what wrap puts
// there.
func (m *metrics) count(wrap func(http.RoundTripper) http.RoundTripper) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if wrap != nil {
			next = wrap(next)
		}
		return counted{metrics: m, next: next}
	}
}

type counted struct {
	metrics *metrics
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	response, err := c.next.RoundTrip(r)
	status := "none"
	if err == nil {
		status = strconv.Itoa(response.StatusCode)
	}
	c.metrics.requests.WithLabelValues(r.Method, status).Inc()
	c.metrics.seconds.WithLabelValues(r.Method).Observe(time.Since(begun).Seconds())
	return response, err
}
