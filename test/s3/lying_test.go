package s3_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

func TestWhatLiesInTheBucket(t *testing.T) {
	u := minio.ForTest(t)
	s := open(t, u, nil)
	require.Empty(t, keys(t, u), "the probe leaves nothing")
	w := create(t, s, id)
	w.mustAppend(2)
	require.Equal(t, map[string]int64{
		"index/topic/0/a!open":         0,
		"chunks/topic/0/a!/0000000000": 10,
		"chunks/topic/0/a!/0000000001": 9,
		"chunks/topic/0/a!/0000000002": 9,
	}, keys(t, u))
	require.NoError(t, w.appender.Seal(t.Context()))
	require.Equal(t, map[string]int64{
		"index/topic/0/a!sealed-3-28":  0,
		"chunks/topic/0/a!/0000000000": 10,
		"chunks/topic/0/a!/0000000001": 9,
		"chunks/topic/0/a!/0000000002": 9,
		"chunks/topic/0/a!/0000000003": 0,
	}, keys(t, u))
	require.NoError(t, s.Remove(t.Context(), id))
	require.Equal(t, map[string]int64{
		"chunks/topic/0/a!/0000000000": 0,
		"chunks/topic/0/a!/0000000003": 0,
	}, keys(t, u), "two empty objects, which no List meets")
	require.NoError(t, s.Remove(t.Context(), id))
	require.Len(t, keys(t, u), 2)
}

func TestPurgeTakesWhatRemovedSegmentsLeftAndNothingElse(t *testing.T) {
	u := minio.ForTest(t)
	s := open(t, u, nil)
	stays := create(t, s, storage.ID{Folder: "topic/0", Name: "stays"})
	stays.mustAppend(3)
	require.NoError(t, stays.appender.Seal(t.Context()))
	before := keys(t, u)
	for _, id := range []storage.ID{{Folder: "topic/0", Name: "a"}, {Folder: "topic", Name: "b"}, {Folder: "topic/1", Name: "c"}} {
		create(t, s, id).mustAppend(2)
		require.NoError(t, s.Remove(t.Context(), id))
	}
	elsewhere := storage.ID{Folder: "topic2", Name: "a"}
	create(t, s, elsewhere)
	require.NoError(t, s.Remove(t.Context(), elsewhere))
	left := len(keys(t, u))
	for range 2 {
		require.NoError(t, s.Purge(t.Context(), "topic"))
		now := keys(t, u)
		require.Len(t, now, left-3*2)
		for key, size := range before {
			require.Equal(t, size, now[key], key)
		}
	}
	require.NoError(t, s.Purge(t.Context(), "topic2"))
	require.Equal(t, before, keys(t, u))
	require.ErrorIs(t, s.Purge(t.Context(), ""), storage.ErrInvalid, "never everything")
	require.ErrorIs(t, s.Purge(t.Context(), "a//b"), storage.ErrInvalid)
}

// A Create that was broken off leaves an index entry, which no List shows.
func TestPurgeTakesEntriesOfSegmentsThatNeverCameToBe(t *testing.T) {
	u := minio.ForTest(t)
	lost := faults[1]
	require.False(t, lost.effect)
	s := open(t, u, lost.on(1, func(r *http.Request) bool { return put(r, 0) }).wrap)
	_, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.Equal(t, map[string]int64{"index/topic/0/a!open": 0}, keys(t, u))
	listing, err := s.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Empty(t, listing.Segments)
	require.NoError(t, s.Purge(t.Context(), "topic"))
	require.Empty(t, keys(t, u))
}

func TestARemoveThatIsBrokenOffMayBeRepeated(t *testing.T) {
	for n := 1; ; n++ {
		u := minio.ForTest(t)
		node, s := open(t, u, nil), open(t, u, nil)
		w := create(t, node, id)
		w.mustAppend(3)
		var changes atomic.Int64
		breaking := open(t, u, hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
			changing := r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.Contains(r.URL.Path, "/probe/")
			if changing && changes.Add(1) >= int64(n) {
				return answer(r, http.StatusForbidden, "AccessDenied")
			}
			return send()
		}).wrap)
		err := breaking.Remove(t.Context(), id)
		require.NoError(t, s.Remove(t.Context(), id))
		require.Equal(t, map[string]int64{"chunks/topic/0/a!/0000000000": 0, "chunks/topic/0/a!/0000000004": 0}, keys(t, u), "broken off at change %d", n)
		w.mustBeDead()
		require.NoError(t, node.Close(), "nothing that it has sent comes after the purge")
		_, found := s.Recover(t.Context(), id)
		require.ErrorIs(t, found, storage.ErrNotFound)
		require.NoError(t, s.Purge(t.Context(), "topic"))
		require.Empty(t, keys(t, u), "what the zombie put behind the seal goes as well")
		if err == nil {
			require.Greater(t, n, 3, "a Remove takes some changes")
			return
		}
	}
}

func TestASegmentOfManyPages(t *testing.T) {
	t.Parallel()
	u := minio.ForTest(t)
	s := open(t, u, nil)
	w := create(t, s, id)
	w.append(2100)
	w.all()
	require.EqualValues(t, len(w.sent), w.acknowledged())
	listing, err := s.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Equal(t, []storage.Info{{Name: "a", Size: int64(len(w.sent))}}, listing.Segments)
	require.EqualValues(t, len(w.sent), w.recoverAll(s))
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	var group sync.WaitGroup
	for _, from := range []int{0, 9_000, 15_000} {
		group.Go(func() {
			p := make([]byte, 5_000)
			_, err := r.ReadAt(t.Context(), p, int64(from))
			if err != nil || !bytes.Equal(p, w.sent[from:from+5_000]) {
				t.Errorf("at %d: %v", from, err)
			}
		})
	}
	group.Wait()
	listing, err = s.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Equal(t, []storage.Info{{Name: "a", Size: int64(len(w.sent)), Sealed: true}}, listing.Segments)
}

// A chunk that somebody removed is damage that is shown, and never the end.
func TestAMissingChunkIsShownAndNothingIsCut(t *testing.T) {
	for what, end := range map[string]func(w *writer, s *s3.Store){
		"of a sealed segment":    func(w *writer, _ *s3.Store) { require.NoError(t, w.appender.Seal(t.Context())) },
		"of a recovered segment": func(w *writer, s *s3.Store) { w.recoverAll(s) },
		"of an open segment":     func(*writer, *s3.Store) {},
	} {
		t.Run(what, func(t *testing.T) {
			u := minio.ForTest(t)
			s := open(t, u, nil)
			w := create(t, s, id)
			w.mustAppend(30)
			end(w, s)
			lose(t, u, "chunks/topic/0/a!/0000000007")
			_, err := s.Open(t.Context(), id)
			require.ErrorIs(t, err, talos.CorruptSegment)
			require.ErrorContains(t, err, "chunks/topic/0/a!/0000000007")
			before := keys(t, u)
			info, err := s.Recover(t.Context(), id)
			if what == "of an open segment" {
				require.ErrorIs(t, err, talos.CorruptSegment)
			} else {
				require.NoError(t, err)
				require.EqualValues(t, len(w.sent), info.Size, "the length that it had")
			}
			require.Equal(t, before, keys(t, u), "nothing was put")
			_, err = s.List(t.Context(), id.Folder)
			require.NoError(t, err, "other segments can be found all the same")
			require.NoError(t, s.Remove(t.Context(), id))
		})
	}
}

func TestAReaderOfARemovedSegmentIsToldSo(t *testing.T) {
	s := open(t, minio.ForTest(t), nil)
	w := create(t, s, id)
	w.mustAppend(3)
	require.NoError(t, w.appender.Seal(t.Context()))
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, s.Remove(t.Context(), id))
	for _, off := range []int64{0, 12} { // in the head, which is empty now, and in a chunk, which is gone
		_, err = r.ReadAt(t.Context(), make([]byte, 5), off)
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
}

func TestAMissingSealTakesNothingAway(t *testing.T) {
	u := minio.ForTest(t)
	s := open(t, u, nil)
	w := create(t, s, id)
	w.mustAppend(3)
	require.NoError(t, w.appender.Seal(t.Context()))
	lose(t, u, "chunks/topic/0/a!/0000000004")
	require.Equal(t, string(w.sent), string(read(t, s, id)), "no byte is missing")
}

func TestAReadOnlyStoreChangesNothing(t *testing.T) {
	u := minio.ForTest(t)
	w := create(t, open(t, u, nil), id)
	w.mustAppend(3)
	before := keys(t, u)
	s, err := s3.Open(t.Context(), u, s3.Options{ReadOnly: true, Wrap: hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, fmt.Errorf("%w: %s %s", errLost, r.Method, r.URL)
		}
		return send()
	}).wrap})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Equal(t, string(w.sent), string(read(t, s, id)))
	_, err = s.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, before, keys(t, u))
	w.mustAppend(1)
}

func TestAnAppenderAsksForAnotherSegmentWhenItHasManyChunks(t *testing.T) {
	s := open(t, minio.ForTest(t), nil)
	w := create(t, s, id)
	select {
	case <-w.appender.Roll():
		require.Fail(t, "it asks at once")
	default:
	}
	w.append(9_999)
	eventually(t, w.appender.Roll(), "it asks")
	w.appender.Abandon()
}

func TestAnAppendOfNothingIsNoSeal(t *testing.T) {
	s := open(t, minio.ForTest(t), nil)
	w := create(t, s, id)
	w.mustAppend(1)
	done := make(chan error, 1)
	w.appender.Append(nil, func(err error) { done <- err })
	require.NoError(t, eventually(t, done, "the append of nothing completed"))
	before := len(w.sent)
	w.mustAppend(2)
	require.Greater(t, len(w.sent), before)
	require.NoError(t, w.appender.Seal(t.Context()))
	require.Equal(t, string(w.sent), string(read(t, s, id)))
	_, err := s.Create(t.Context(), storage.ID{Name: "b"}, nil, talos.Sync)
	require.ErrorIs(t, err, storage.ErrInvalid)
}
