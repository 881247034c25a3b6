package metered_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/metered"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/talos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever the store inside promises, the measured one does as well.
func TestConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return metered.New(mem.New()) })
}

// figures are counters and gauges by name and labels, and histograms' counts.
func figures(t *testing.T, s *metered.Store) map[string]int {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(s))
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			v := int(m.GetCounter().GetValue()+m.GetGauge().GetValue()) + int(m.GetHistogram().GetSampleCount())
			if v != 0 {
				all[name] = v
			}
		}
	}
	return all
}

func TestEachOperationIsMeasured(t *testing.T) {
	s := metered.New(mem.New())
	ctx := t.Context()
	id := storage.ID{Folder: "f", Name: "a"}
	a, err := s.Create(ctx, id, []byte("head"), talos.Sync)
	require.NoError(t, err)
	require.Equal(t, 1, figures(t, s)["talos_store_open_appenders"])
	done := make(chan error, 1)
	a.Append([]byte("12345"), func(err error) { done <- err })
	require.NoError(t, <-done)
	require.NoError(t, a.Seal(ctx))
	a.Abandon()

	r, err := s.Open(ctx, id)
	require.NoError(t, err)
	_, err = r.Size(ctx)
	require.NoError(t, err)
	n, _ := r.ReadAt(ctx, make([]byte, 100), 0) // io.EOF is no failure
	require.Equal(t, 9, n)
	require.NoError(t, r.Close())
	_, err = s.Recover(ctx, id)
	require.NoError(t, err)
	_, err = s.List(ctx, "f")
	require.NoError(t, err)
	require.NoError(t, s.Remove(ctx, id))
	require.NoError(t, s.Purge(ctx, "f"))

	want := map[string]int{"talos_store_bytes_total append": 5, "talos_store_bytes_total read": 9}
	for _, op := range []string{"create", "append", "seal", "open", "size", "read", "recover", "list", "remove", "purge"} {
		want["talos_store_operation_seconds "+op] = 1
	}
	require.Equal(t, want, figures(t, s))
}

func TestFailuresAreCountedByKind(t *testing.T) {
	ctx := t.Context()
	broken := errors.New("broken")
	s := metered.New(faulty.New(mem.New(), func(c faulty.Call) faulty.Fault {
		if c.Op != faulty.List {
			return faulty.Fault{}
		}
		return faulty.Fault{Before: func(context.Context) error { return broken }}
	}))
	id := storage.ID{Folder: "f", Name: "a"}
	a, err := s.Create(ctx, id, []byte("head"), talos.Sync)
	require.NoError(t, err)
	_, err = s.Create(ctx, id, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, storage.ErrExists)
	_, err = s.Open(ctx, storage.ID{Folder: "f", Name: "b"})
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = s.List(ctx, "f")
	require.ErrorIs(t, err, broken)
	_, err = s.Recover(ctx, id)
	require.NoError(t, err)
	done := make(chan error, 1)
	a.Append([]byte("x"), func(err error) { done <- err })
	require.ErrorIs(t, <-done, storage.ErrDead)
	a.Abandon()

	got := figures(t, s)
	require.Equal(t, 1, got["talos_store_errors_total exists create"])
	require.Equal(t, 1, got["talos_store_errors_total not_found open"])
	require.Equal(t, 1, got["talos_store_errors_total other list"])
	require.Equal(t, 1, got["talos_store_errors_total dead append"])
	require.Zero(t, got["talos_store_open_appenders"])
	require.Zero(t, got["talos_store_bytes_total append"])
}
