package hdfs

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talos-log/talos/hdfs/internal/wire"
	counting "github.com/talos-log/talos/talos/metrics"
)

// metrics is what only this store can count; talos/metrics describes it.
type metrics struct {
	counting.Set
	creates      prometheus.Counter
	open         prometheus.Gauge
	degraded     prometheus.Gauge
	broken       prometheus.Counter
	nodeFailures prometheus.Counter
	recoveries   prometheus.Counter
	leftovers    prometheus.Counter
	slowRolls    prometheus.Counter
	failovers    *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{}
	m.creates = m.Counter("talos_hdfs_segments_created_total")
	m.open = m.Gauge("talos_hdfs_open_segments")
	m.degraded = m.Gauge("talos_hdfs_degraded_segments")
	m.broken = m.Counter("talos_hdfs_segments_broken_total")
	m.nodeFailures = m.Counter("talos_hdfs_datanode_failures_total")
	m.recoveries = m.Counter("talos_hdfs_recoveries_total")
	m.leftovers = m.Counter("talos_hdfs_leftovers_closed_total")
	m.slowRolls = m.Counter("talos_hdfs_slow_rolls_total")
	m.failovers = m.Counters("talos_hdfs_read_failovers_total", 1)
	return m
}

// Describe makes the store a prometheus.Collector.
func (s *Store) Describe(ch chan<- *prometheus.Desc) { s.metrics.Describe(ch) }

// Collect makes the store a prometheus.Collector.
func (s *Store) Collect(ch chan<- prometheus.Metric) { s.metrics.Collect(ch) }

// failover counts a read that went on with another replica.
func (s *Store) failover(node *wire.DatanodeInfo, kind string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.metrics.failovers.WithLabelValues(kind).Inc()
	s.log.Warn("a replica can't be read, trying another", "datanode", address(node), "reason", kind, "error", err)
}
