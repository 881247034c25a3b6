package metrics_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos/metrics"
)

func TestTheListIsInOrder(t *testing.T) {
	name := regexp.MustCompile(`^talos_[a-z0-9]+(_[a-z0-9]+)+$`)
	var before string
	for _, d := range metrics.All() {
		require.Greater(t, d.Name, before, "sorted, and each once")
		before = d.Name
		require.Regexp(t, name, d.Name)
		require.True(t, strings.HasSuffix(d.Help, "."), "%s: a sentence", d.Name)
		require.Equal(t, d.Type == metrics.Counter, strings.HasSuffix(d.Name, "_total"), "%s: counters end in _total", d.Name)
		require.Equal(t, d.Type == metrics.Histogram, len(d.Buckets) > 0, "%s: histograms have buckets", d.Name)
		for _, label := range d.Labels {
			if strings.HasPrefix(d.Name, "talos_groups_lag_") {
				continue // users name groups and topics; who sets it bounds how many are shown
			}
			require.Contains(t, []string{"kind", "use", "operation", "reason", "from", "outcome", "method", "status", "state", "of"}, label,
				"%s: a label whose values nobody can make more of", d.Name)
		}
	}
}

func TestASetIsOneCollector(t *testing.T) {
	var s metrics.Set
	s.Counter("talos_server_panics_total").Inc()
	s.Counters("talos_s3_requests_total", 2).WithLabelValues("PUT", "200").Inc()
	s.Gauge("talos_server_long_polls").Set(1)
	s.Gauges("talos_server_memory_bytes", 1).WithLabelValues("answers").Set(1)
	s.Counted("talos_server_refused_partitions", func() map[string]float64 { return map[string]float64{"BrokenChain": 1} })
	s.Histogram("talos_server_append_seconds").Observe(1)
	s.Histograms("talos_store_operation_seconds", 1).WithLabelValues("append").Observe(1)

	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(&s))
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 7)
	for _, family := range families {
		require.True(t, slices.ContainsFunc(metrics.All(), func(d metrics.Description) bool {
			return d.Name == family.GetName() && d.Help == family.GetHelp()
		}), family.GetName())
	}
}

func TestWhatIsNotInTheListCanNotBeMade(t *testing.T) {
	var s metrics.Set
	require.Panics(t, func() { s.Counter("talos_server_unheard_of_total") })
	require.Panics(t, func() { s.Gauge("talos_server_panics_total") }, "another type")
	require.Panics(t, func() { s.Counter("talos_server_errors_total") }, "labels are missing")
}
