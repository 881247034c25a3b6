package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// metrics is what a node counts. All of it is described in newMetrics and
// nowhere else.
type metrics struct {
	appendedBatches prometheus.Counter
	appendedBytes   prometheus.Counter
	appendSeconds   prometheus.Histogram
	appendsRefused  prometheus.Counter
	waitingBatches  prometheus.Gauge
	fetchedBytes    prometheus.Counter
	longPolls       prometheus.Gauge
	openPartitions  prometheus.Gauge
	errors          *prometheus.CounterVec
	panics          prometheus.Counter
	// refusedConnections and hungUp count connections that broke a limit.
	refusedConnections prometheus.Counter
	hungUp             prometheus.Counter
	removedSegments    prometheus.Counter
	removedBytes       prometheus.Counter
	tailBytes          prometheus.GaugeFunc
	historyBytes       prometheus.GaugeFunc
}

func newMetrics(tails *partition.Tails, history *partition.History) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "talos_server_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "talos_server_" + name, Help: help})
	}
	measure := func(name, help string, now func() int64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "talos_server_" + name, Help: help},
			func() float64 { return float64(now()) })
	}
	return &metrics{
		appendedBatches: counter("appended_batches_total", "Record batches that were acknowledged."),
		appendedBytes:   counter("appended_bytes_total", "Bytes of the record batches that were acknowledged."),
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "talos_server_append_seconds",
			Help:    "Time from the receipt of a record batch to its acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.000_25, 2, 16),
		}),
		appendsRefused: counter("appends_refused_total", "Record batches that were answered with an error."),
		waitingBatches: gauge("waiting_batches", "Record batches that were received and wait for the store now."),
		fetchedBytes:   counter("fetched_bytes_total", "Bytes of record batches in answers to fetches."),
		longPolls:      gauge("long_polls", "Fetches that wait for records now."),
		openPartitions: gauge("open_partitions", "Partitions that are open now."),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "talos_server_errors_total",
			Help: "Errors in answers, for a whole call or for a part of it, by kind.",
		}, []string{"kind"}),
		panics:             counter("panics_total", "Calls and background work that ended in a panic. Each is a fault of Talos."),
		refusedConnections: counter("connections_refused_total", "Connections that were closed at once because there were too many."),
		hungUp:             counter("connections_closed_total", "Connections that were closed because an answer was not read in time, or too many calls were refused."),
		removedSegments:    counter("removed_segments_total", "Segments that were removed from the store: expired, deleted, or left over by an owner that was deposed."),
		removedBytes:       counter("removed_bytes_total", "Bytes of the segments that were removed from the store."),
		tailBytes:          measure("tail_bytes", "Memory for the newest batches of all partitions now.", tails.Bytes),
		historyBytes:       measure("history_bytes", "Memory for what was read of segments now.", history.Bytes),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.appendedBatches, m.appendedBytes, m.appendSeconds, m.appendsRefused, m.waitingBatches, m.fetchedBytes,
		m.longPolls, m.openPartitions, m.errors, m.panics, m.refusedConnections, m.hungUp,
		m.removedSegments, m.removedBytes, m.tailBytes, m.historyBytes,
	}
}

// register registers all or none; at may be nil.
func (m *metrics) register(at prometheus.Registerer) error {
	if at == nil {
		return nil
	}
	for i, c := range m.collectors() {
		if err := at.Register(c); err != nil {
			for _, done := range m.collectors()[:i] {
				at.Unregister(done)
			}
			return err
		}
	}
	return nil
}

func (m *metrics) unregister(from prometheus.Registerer) {
	if from == nil {
		return
	}
	for _, c := range m.collectors() {
		from.Unregister(c)
	}
}

// failed counts an error that goes out to a client.
func (m *metrics) failed(err error) {
	kind := talos.KindOf(err)
	if !kind.Known() {
		kind = talos.Internal
	}
	m.errors.WithLabelValues(string(kind)).Inc()
}

// removed is a partition's word on segments that it removed.
func (m *metrics) removed(segments int, bytes int64) {
	m.removedSegments.Add(float64(segments))
	m.removedBytes.Add(float64(bytes))
}

func (m *metrics) appended(bytes int, took time.Duration) {
	m.appendedBatches.Inc()
	m.appendedBytes.Add(float64(bytes))
	m.appendSeconds.Observe(took.Seconds())
}
