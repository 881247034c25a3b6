package s3

import (
	"errors"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no") }

func TestRequestsAreCounted(t *testing.T) {
	s := &Store{metrics: newMetrics()}
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(s))
	for _, transport := range []http.RoundTripper{&recorder{}, &recorder{}, failing{}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://a/b", http.NoBody)
		require.NoError(t, err)
		_, _ = s.metrics.count(nil)(transport).RoundTrip(r)
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			counts[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.Equal(t, map[string]float64{
		"talos_s3_requests_total PUT 200": 2, "talos_s3_requests_total PUT none": 1, "talos_s3_request_seconds PUT": 3,
	}, counts)
}
