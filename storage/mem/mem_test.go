package mem_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/talos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return mem.New() })
}

func TestTraits(t *testing.T) {
	require.Equal(t, storage.Traits{OrderedTail: true}, mem.New().Traits())
}

func TestIdleSegmentsCostNoGoroutine(t *testing.T) {
	s := mem.New()
	appender, err := s.Create(t.Context(), storage.ID{Folder: "topic", Name: "a"}, []byte("head"), talos.Sync)
	require.NoError(t, err)
	done := make(chan error, 1)
	appender.Append([]byte("x"), func(err error) { done <- err })
	require.NoError(t, <-done)
	// The appender is still open.
	goleak.VerifyNone(t)
}

func TestSealedSegmentsAreListedAsSealed(t *testing.T) {
	s := mem.New()
	for name, end := range map[string]func(storage.ID, storage.Appender){
		"sealed":    func(_ storage.ID, a storage.Appender) { require.NoError(t, a.Seal(t.Context())) },
		"abandoned": func(_ storage.ID, a storage.Appender) { a.Abandon() },
		"recovered": func(id storage.ID, _ storage.Appender) { _, err := s.Recover(t.Context(), id); require.NoError(t, err) },
	} {
		id := storage.ID{Folder: "topic", Name: name}
		appender, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
		require.NoError(t, err)
		end(id, appender)
	}
	listing, err := s.List(t.Context(), "topic")
	require.NoError(t, err)
	require.Equal(t, []storage.Info{
		{Name: "abandoned", Size: 4, Sealed: false},
		{Name: "recovered", Size: 4, Sealed: true},
		{Name: "sealed", Size: 4, Sealed: true},
	}, listing.Segments)
}

func TestRemoveStopsTheAppenderAndLeavesOpenReaders(t *testing.T) {
	s := mem.New()
	id := storage.ID{Folder: "topic", Name: "a"}
	appender, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.NoError(t, err)
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, s.Remove(t.Context(), id))
	done := make(chan error, 1)
	appender.Append([]byte("x"), func(err error) { done <- err })
	require.ErrorIs(t, <-done, storage.ErrDead)
	size, err := r.Size(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(4), size)
	require.NoError(t, r.Close())
}
