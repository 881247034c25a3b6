package hdfs

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// metrics is what the store counts. All of it is described in newMetrics and
// nowhere else.
type metrics struct {
	creates      prometheus.Counter
	open         prometheus.Gauge
	degraded     prometheus.Gauge
	broken       prometheus.Counter
	nodeFailures prometheus.Counter
	recoveries   prometheus.Counter
	failovers    *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "talos_hdfs_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "talos_hdfs_" + name, Help: help})
	}
	return &metrics{
		creates:      counter("segments_created_total", "Segments that were created."),
		open:         gauge("open_segments", "Segments that are open for writing now. Each costs each of its DataNodes two threads."),
		degraded:     gauge("degraded_segments", "Open segments with fewer replicas than wanted."),
		broken:       counter("segments_broken_total", "Segments that were given up since a DataNode failed or did not answer in time."),
		nodeFailures: counter("datanode_failures_total", "Failures for which a DataNode is left out of new segments for a while."),
		recoveries:   counter("recoveries_total", "Segments of others, or given up, that were closed by a lease recovery."),
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talos_hdfs_read_failovers_total",
			Help: "Reads that went on with another replica, by reason; checksum means that a replica is damaged.",
		}, []string{"reason"}),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.creates, m.open, m.degraded, m.broken, m.nodeFailures, m.recoveries, m.failovers}
}

// Describe makes the store a prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range s.metrics.all() {
		c.Describe(ch)
	}
}

// Collect makes the store a prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	for _, c := range s.metrics.all() {
		c.Collect(ch)
	}
}

// failover counts a read that went on with another replica.
func (s *Store) failover(node *wire.DatanodeInfo, kind string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.metrics.failovers.WithLabelValues(kind).Inc()
	s.log.Warn("a replica can't be read, trying another", "datanode", address(node), "reason", kind, "error", err)
}
