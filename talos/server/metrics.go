package server

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	counting "github.com/talos-log/talos/talos/metrics"
)

// serverMetrics is what a node counts; talos/metrics describes it.
type serverMetrics struct {
	counting.Set
	appendedBatches prometheus.Counter
	appendedBytes   prometheus.Counter
	appendSeconds   prometheus.Histogram
	appendsRefused  prometheus.Counter
	waitingBatches  prometheus.Gauge
	fetchedBytes    prometheus.Counter
	fetchSeconds    prometheus.Histogram
	longPolls       prometheus.Gauge
	openPartitions  prometheus.Gauge
	errors          *prometheus.CounterVec
	panics          prometheus.Counter
	serving         prometheus.Gauge
	registrations   prometheus.Counter
	handedOver      prometheus.Counter
	handoverSeconds prometheus.Histogram
	// These are about consumer groups.
	rebalances, commits, groupLoads prometheus.Counter
	heartbeatSeconds                prometheus.Histogram
	groupLag, groupLagUnknown       *prometheus.GaugeVec
	// refusedConnections and hungUp count connections that broke a limit.
	refusedConnections, hungUp    prometheus.Counter
	removedSegments, removedBytes prometheus.Counter
	// requestBytes and answerBytes are memory that is held for clients.
	requestBytes, answerBytes atomic.Int64
}

// newMetrics makes them; refused counts the partitions that can't be opened, owned
// those that are the node's, groups the groups and their members.
func newMetrics(tails *partition.Tails, history *partition.History, refused, owned, groups func() map[string]float64) *serverMetrics {
	m := &serverMetrics{}
	m.appendedBatches = m.Counter("talos_server_appended_batches_total")
	m.appendedBytes = m.Counter("talos_server_appended_bytes_total")
	m.appendSeconds = m.Histogram("talos_server_append_seconds")
	m.appendsRefused = m.Counter("talos_server_appends_refused_total")
	m.waitingBatches = m.Gauge("talos_server_waiting_batches")
	m.fetchedBytes = m.Counter("talos_server_fetched_bytes_total")
	m.fetchSeconds = m.Histogram("talos_server_fetch_seconds")
	m.longPolls = m.Gauge("talos_server_long_polls")
	m.openPartitions = m.Gauge("talos_server_open_partitions")
	m.errors = m.Counters("talos_server_errors_total", 1)
	m.panics = m.Counter("talos_server_panics_total")
	m.serving = m.Gauge("talos_server_serving")
	m.registrations = m.Counter("talos_server_registrations_total")
	m.handedOver = m.Counter("talos_server_handed_over_total")
	m.handoverSeconds = m.Histogram("talos_server_handover_seconds")
	m.rebalances = m.Counter("talos_groups_rebalances_total")
	m.commits = m.Counter("talos_groups_commits_total")
	m.groupLoads = m.Counter("talos_groups_loads_total")
	m.heartbeatSeconds = m.Histogram("talos_groups_heartbeat_seconds")
	m.groupLag = m.Gauges("talos_groups_lag_records", 2)
	m.groupLagUnknown = m.Gauges("talos_groups_lag_unknown_partitions", 2)
	m.refusedConnections = m.Counter("talos_server_connections_refused_total")
	m.hungUp = m.Counter("talos_server_connections_closed_total")
	m.removedSegments = m.Counter("talos_server_removed_segments_total")
	m.removedBytes = m.Counter("talos_server_removed_bytes_total")
	m.Counted("talos_server_memory_bytes", func() map[string]float64 {
		return map[string]float64{
			"requests": float64(m.requestBytes.Load()), "answers": float64(m.answerBytes.Load()),
			"tails": float64(tails.Bytes()), "history": float64(history.Bytes()),
		}
	})
	m.Counted("talos_server_refused_partitions", refused)
	m.Counted("talos_server_owned_partitions", owned)
	m.Counted("talos_groups_size", groups)
	return m
}

// failed counts an error that goes out to a client.
func (m *serverMetrics) failed(err error) {
	kind := talos.KindOf(err)
	if !kind.Known() {
		kind = talos.Internal
	}
	m.errors.WithLabelValues(string(kind)).Inc()
}

func (m *serverMetrics) appended(bytes int, took time.Duration) {
	m.appendedBatches.Inc()
	m.appendedBytes.Add(float64(bytes))
	m.appendSeconds.Observe(took.Seconds())
}

// collectors is all that a node registers.
func (n *Node) collectors() []prometheus.Collector {
	return []prometheus.Collector{n.metrics, n.logMetrics}
}

// register registers all or none; at may be nil.
func (n *Node) register(at prometheus.Registerer) error {
	if at == nil {
		return nil
	}
	for i, c := range n.collectors() {
		if err := at.Register(c); err != nil {
			for _, done := range n.collectors()[:i] {
				at.Unregister(done)
			}
			return err
		}
	}
	return nil
}

func (n *Node) unregister(from prometheus.Registerer) {
	if from == nil {
		return
	}
	for _, c := range n.collectors() {
		from.Unregister(c)
	}
}

// refusedPartitions counts, by kind, the partitions that only an operator can
// mend.
func (n *Node) refusedPartitions() map[string]float64 {
	if t := n.term.Load(); t != nil {
		return t.partitions.refused()
	}
	return nil
}

// ownedPartitions counts the partitions that are assigned to the node.
func (n *Node) ownedPartitions() map[string]float64 {
	owned, coming := n.cfg.Meta.View().Owned(n.cfg.NodeID)
	return map[string]float64{"owned": float64(owned), "coming": float64(coming)}
}

// heldGroups counts what the node coordinates.
func (n *Node) heldGroups() map[string]float64 {
	if t := n.term.Load(); t != nil {
		return t.groups.size()
	}
	return nil
}

// removed is a partition's word on segments that it removed.
func (m *serverMetrics) removed(segments int, bytes int64) {
	m.removedSegments.Add(float64(segments))
	m.removedBytes.Add(float64(bytes))
}
