package partition

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/talos"
	counting "github.com/talos-log/talos/talos/metrics"
)

// Metrics is what the logs of one process count, all together: no label tells
// one from another. talos/metrics describes it. It is a prometheus.Collector.
type Metrics struct {
	counting.Set
	groupBatches, groupBytes prometheus.Histogram
	duplicates               prometheus.Counter
	opened, notOpened        prometheus.Observer
	fenced                   prometheus.Counter
	started, startsFailed    prometheus.Counter
	ended                    *prometheus.CounterVec
	tailReads, segmentReads  prometheus.Counter
	indexLoads               prometheus.Counter
	// Memory by use.
	queued, inflight prometheus.Gauge
}

// NewMetrics makes metrics for logs to share.
func NewMetrics() *Metrics {
	m := &Metrics{}
	m.groupBatches = m.Histogram("talos_partition_group_batches")
	m.groupBytes = m.Histogram("talos_partition_group_bytes")
	m.duplicates = m.Counter("talos_partition_duplicates_total")
	opens := m.Histograms("talos_partition_open_seconds", 1)
	m.opened, m.notOpened = opens.WithLabelValues("ok"), opens.WithLabelValues("failed")
	m.fenced = m.Counter("talos_partition_fenced_total")
	m.started = m.Counter("talos_partition_segments_started_total")
	m.startsFailed = m.Counter("talos_partition_segment_starts_failed_total")
	m.ended = m.Counters("talos_partition_segments_ended_total", 1)
	reads := m.Counters("talos_partition_reads_total", 1)
	m.tailReads, m.segmentReads = reads.WithLabelValues("tail"), reads.WithLabelValues("segment")
	m.indexLoads = m.Counter("talos_partition_index_loads_total")
	memory := m.Gauges("talos_partition_memory_bytes", 1)
	m.queued, m.inflight = memory.WithLabelValues("queue"), memory.WithLabelValues("inflight")
	return m
}

// unwatched is for logs without metrics: counting costs less than asking each
// time whether to count.
var unwatched = NewMetrics()

func (m *Metrics) attempted(begun time.Time, err error) {
	took := time.Since(begun).Seconds()
	if err != nil {
		m.notOpened.Observe(took)
		return
	}
	m.opened.Observe(took)
}

// finished counts a log that ended, if a later owner was the reason.
func (m *Metrics) finished(why error) {
	if errors.Is(why, talos.NotOwner) {
		m.fenced.Inc()
	}
}
