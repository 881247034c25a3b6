package partition

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// watched counts what is read of a store.
type watched struct {
	storage.Store
	// hold, if not nil, keeps each read back until it is closed.
	hold chan struct{}

	mu                   sync.Mutex
	opens, closes, reads int
	now, most            int
	// fail is how many of the next reads fail.
	fail int
}

func (w *watched) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	r, err := w.Store.Open(ctx, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opens++
	return watchedReader{r, w}, err
}

func (w *watched) counts() (opens, closes, reads int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opens, w.closes, w.reads
}

type watchedReader struct {
	storage.Reader
	w *watched
}

func (r watchedReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	r.w.mu.Lock()
	r.w.reads++
	r.w.now++
	r.w.most = max(r.w.most, r.w.now)
	failing := r.w.fail > 0
	r.w.fail = max(0, r.w.fail-1)
	r.w.mu.Unlock()
	defer func() {
		r.w.mu.Lock()
		r.w.now--
		r.w.mu.Unlock()
	}()
	if failing {
		return 0, errInjected
	}
	if r.w.hold != nil {
		select {
		case <-r.w.hold:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return r.Reader.ReadAt(ctx, p, off)
}

func (r watchedReader) Close() error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.closes++
	return r.Reader.Close()
}

// content makes a segment of n random bytes, and what reads it.
func content(t *testing.T, w *watched, h *History, name string, n int64) ([]byte, source) {
	t.Helper()
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	id := storage.ID{Folder: "f", Name: name}
	a, err := w.Create(t.Context(), id, data, talos.Sync)
	require.NoError(t, err)
	require.NoError(t, a.Seal(t.Context()))
	return data, source{history: h, store: w, id: id, end: n}
}

func read(t *testing.T, s source, off, n int64) []byte {
	t.Helper()
	p := make([]byte, n)
	got, err := s.ReadAt(t.Context(), p, off)
	if !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
	return p[:got]
}

func newWatched(t *testing.T, bytes int64) (*watched, *History) {
	t.Helper()
	h := NewHistory(bytes)
	t.Cleanup(h.Close)
	return &watched{Store: mem.New()}, h
}

func TestHistoryReadsWhatTheSegmentHolds(t *testing.T) {
	w, h := newWatched(t, 0)
	data, s := content(t, w, h, "a", 3*chunkBytes+100)
	for _, r := range [][2]int64{
		{0, 10}, {chunkBytes - 5, 10}, {10, 3 * chunkBytes}, {3*chunkBytes + 90, 100}, {3*chunkBytes + 100, 1}, {2*chunkBytes - 1, 2},
	} {
		want := data[min(r[0], s.end):min(r[0]+r[1], s.end)]
		require.True(t, bytes.Equal(want, read(t, s, r[0], r[1])), "range %v", r)
	}
	opens, _, reads := w.counts()
	require.Equal(t, 1, opens)
	require.Equal(t, 4, reads, "each chunk once")
}

func TestConcurrentReadersOfAChunkReadItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWatched(t, 0)
		w.hold = make(chan struct{})
		data, s := content(t, w, h, "a", chunkBytes)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { require.Equal(t, data[10:1000], read(t, s, 10, 990)) })
		}
		synctest.Wait()
		close(w.hold)
		all.Wait()
		opens, _, reads := w.counts()
		require.Equal(t, []int{1, 1}, []int{opens, reads})
		h.Close()
	})
}

func TestWhoReadsOnFindsTheNextChunksThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWatched(t, 0)
		_, s := content(t, w, h, "a", 20*chunkBytes)
		read(t, s, 0, 100)
		synctest.Wait()
		_, _, reads := w.counts()
		require.Equal(t, 1+readAhead, reads)
		read(t, s, chunkBytes, 100)
		synctest.Wait()
		_, _, reads = w.counts()
		require.Equal(t, 2+readAhead, reads, "one more, so that as many lie ahead")
		read(t, s, 15*chunkBytes, 100)
		synctest.Wait()
		_, _, reads = w.counts()
		require.Equal(t, 3+readAhead, reads, "a single look elsewhere reads nothing ahead")
		h.Close()
	})
}

func TestRangesInFlightAndBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWatched(t, 8*chunkBytes)
		w.hold = make(chan struct{})
		_, s := content(t, w, h, "a", 100*chunkBytes)
		var all sync.WaitGroup
		for i := range int64(40) {
			all.Go(func() { read(t, s, i*2*chunkBytes, 10) })
		}
		synctest.Wait()
		require.Equal(t, maxRanges, w.now)
		close(w.hold)
		all.Wait()
		synctest.Wait()
		require.Equal(t, maxRanges, w.most)
		require.LessOrEqual(t, h.Bytes(), int64(8*chunkBytes))
		require.GreaterOrEqual(t, h.ahead, int64(0))
		h.Close()
	})
}

func TestASegmentThatGrowsIsReadOnFromWhereItWasKnown(t *testing.T) {
	w, h := newWatched(t, 0)
	data, s := content(t, w, h, "a", 1000)
	s.end = 400
	require.Equal(t, data[100:400], read(t, s, 100, 900))
	s.end = 1000
	require.Equal(t, data[100:300], read(t, s, 100, 200), "known already")
	_, _, reads := w.counts()
	require.Equal(t, 1, reads)
	require.Equal(t, data[300:1000], read(t, s, 300, 700))
	_, _, reads = w.counts()
	require.Equal(t, 2, reads)
}

func TestReadersAreClosedWhenNobodyHasUsedThemForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWatched(t, 0)
		_, s := content(t, w, h, "a", 30*chunkBytes)
		read(t, s, 0, 1)
		advance(readerIdle - time.Second)
		read(t, s, 10*chunkBytes, 1)
		advance(readerIdle - time.Second)
		opens, closes, _ := w.counts()
		require.Equal(t, []int{1, 0}, []int{opens, closes})
		advance(2 * time.Second)
		synctest.Wait()
		opens, closes, _ = w.counts()
		require.Equal(t, []int{1, 1}, []int{opens, closes})
		read(t, s, 20*chunkBytes, 1)
		h.Close()
		opens, closes, _ = w.counts()
		require.Equal(t, []int{2, 2}, []int{opens, closes}, "Close leaves none open")
		_, err := s.ReadAt(t.Context(), make([]byte, 1), 25*chunkBytes)
		require.ErrorIs(t, err, talos.NotServing)
	})
}

func TestAReaderThatFailsIsReplacedAndNothingOfItIsKept(t *testing.T) {
	w, h := newWatched(t, 0)
	data, s := content(t, w, h, "a", 10*chunkBytes)
	w.fail = 1
	_, err := s.ReadAt(t.Context(), make([]byte, 10), 5*chunkBytes)
	require.ErrorIs(t, err, errInjected, "a fresh reader that fails is not asked twice")
	require.Equal(t, data[5*chunkBytes:5*chunkBytes+10], read(t, s, 5*chunkBytes, 10))
	w.fail = 1
	require.Equal(t, data[8*chunkBytes:8*chunkBytes+10], read(t, s, 8*chunkBytes, 10), "one that was open may be stale")
}

func TestAReaderThatGoesAwayDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWatched(t, 0)
		w.hold = make(chan struct{})
		data, s := content(t, w, h, "a", 100)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.ReadAt(ctx, make([]byte, 10), 0)
			gone <- err
		}()
		synctest.Wait()
		cancel(errInjected)
		require.ErrorIs(t, <-gone, errInjected)
		close(w.hold)
		require.Equal(t, data, read(t, s, 0, 100))
		_, _, reads := w.counts()
		require.Equal(t, 1, reads)
		h.Close()
	})
}
