package partition

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/metered"
	"github.com/talos-log/talos/talos"
)

// figures are counters and gauges by name and label, and histograms' counts.
func figures(t *testing.T, c prometheus.Collector) map[string]int {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			all[name] = int(m.GetCounter().GetValue()+m.GetGauge().GetValue()) + int(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// All logs of a process count into one place; what they hold is zero again once
// they are closed.
func TestLogsCountTogether(t *testing.T) {
	m := NewMetrics()
	r := newRig(t)
	open := func(node string) *Log {
		r.records.assign(node)
		cfg := r.config(node)
		cfg.Metrics = m
		l, err := Open(t.Context(), cfg)
		require.NoError(t, err)
		return l
	}
	first := open("a")
	r.append(first, idempotent("one", 7, 0, 0))
	require.True(t, r.append(first, idempotent("one", 7, 0, 0)).Duplicate)
	r.values(first, 0)
	got := figures(t, m)
	require.Equal(t, 1, got["talos_partition_group_batches"])
	require.Equal(t, 1, got["talos_partition_duplicates_total"])
	require.Equal(t, 1, got["talos_partition_segments_started_total"])
	require.Equal(t, 1, got["talos_partition_reads_total tail"])
	require.Zero(t, got["talos_partition_memory_bytes queue"])
	require.Zero(t, got["talos_partition_memory_bytes inflight"])

	// Another owner comes; the first one finds out with its next append.
	second := open("b")
	require.ErrorIs(t, (<-send(first, plain("lost"))).err, talos.NotOwner)
	<-first.Done()
	r.values(second, 0)
	require.NoError(t, second.Close(t.Context()))
	got = figures(t, m)
	require.Equal(t, 2, got["talos_partition_open_seconds ok"])
	require.Equal(t, 1, got["talos_partition_fenced_total"])
	require.Equal(t, 1, got["talos_partition_segments_ended_total broken"])
	require.Equal(t, 1, got["talos_partition_reads_total segment"])
	require.Equal(t, 1, got["talos_partition_index_loads_total"])
	for _, use := range []string{"queue", "inflight"} {
		require.Zero(t, got["talos_partition_memory_bytes "+use], use)
	}

	r.records.assign("nobody")
	cfg := r.config("a")
	cfg.Metrics = m
	_, err := Open(t.Context(), cfg)
	require.ErrorIs(t, err, talos.NotOwner)
	require.Equal(t, 1, figures(t, m)["talos_partition_open_seconds failed"])
}

// BenchmarkAppend is one append after the other over memory: what the log itself
// costs, with and without what a node measures.
func BenchmarkAppend(b *testing.B) {
	for _, measured := range []bool{false, true} {
		name := "plain"
		if measured {
			name = "measured"
		}
		b.Run(name, func(b *testing.B) {
			cfg := Config{
				Cluster: "c", Topic: talos.Topic{Name: "logs", ID: talos.TopicID{1}, Partitions: 1},
				Store: mem.New(), Records: newSharedRecord("a").as("a"), Logger: slog.New(slog.DiscardHandler),
			}
			if measured {
				cfg.Store, cfg.Metrics = metered.New(cfg.Store), NewMetrics()
			}
			l, err := Open(b.Context(), cfg)
			require.NoError(b, err)
			defer func() { require.NoError(b, l.Close(context.Background())) }()
			record := plain(string(make([]byte, 100)))
			done := make(chan error, 1)
			for b.Loop() {
				l.Append(record, func(_ Appended, err error) { done <- err })
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
