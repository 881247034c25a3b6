package faults_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/model"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const node = "a"

// rig is one partition over a store that fails.
type rig struct {
	t      *testing.T
	store  storage.Store
	topic  talos.Topic
	record *model.Record
}

func newRig(t *testing.T, store storage.Store, segmentBytes int64) *rig {
	r := &rig{t: t, store: store, record: model.NewRecord(), topic: talos.Topic{
		Name: "faults", ID: talos.TopicID{1}, Partitions: 1, Config: talos.TopicConfig{SegmentBytes: segmentBytes},
	}}
	r.record.Assign(node)
	return r
}

// tryOpen opens the partition; should the test end early, it is closed.
func (r *rig) tryOpen() (*partition.Log, error) {
	l, err := partition.Open(r.t.Context(), partition.Config{
		Cluster: "faults", Topic: r.topic, Store: r.store, Records: r.record.As(node, &model.Faults{}),
		Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	})
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.Close(ctx) // given up; those that matter are closed by the test
	})
	return l, nil
}

func (r *rig) open() *partition.Log {
	r.t.Helper()
	l, err := r.tryOpen()
	require.NoError(r.t, err)
	return l
}

// reopen closes a log in good order and opens the partition again.
func (r *rig) reopen(l *partition.Log) *partition.Log {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	require.NoError(r.t, l.Close(ctx))
	return r.open()
}
