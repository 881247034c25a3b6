package s3

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the store counts. All of it is described in newMetrics and
// nowhere else.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talos_s3_requests_total",
			Help: "Requests to the object store, by method and HTTP status; none means that no answer came. 412 to a PUT means that a segment was ended by somebody else.",
		}, []string{"method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "talos_s3_request_seconds",
			Help: "Time from a request to the head of its answer, by method.",
			// From 1 ms to 16 s.
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"method"}),
	}
}

// Describe makes the store a prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	s.metrics.requests.Describe(ch)
	s.metrics.seconds.Describe(ch)
}

// Collect makes the store a prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	s.metrics.requests.Collect(ch)
	s.metrics.seconds.Collect(ch)
}

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
