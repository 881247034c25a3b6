package partition

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

func (r *rig) segments() []string {
	r.t.Helper()
	listing, err := r.store.List(r.t.Context(), talos.PartitionID{Topic: r.topic.ID}.String())
	require.NoError(r.t, err)
	names := []string{}
	for _, s := range listing.Segments {
		names = append(names, s.Name)
	}
	return names
}

func TestTrimHidesAtOnceAndRemovesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		for range 300 {
			r.append(l, plain(strings.Repeat("x", 1000)))
		}
		all := r.segments()
		require.Greater(t, len(all), 3)

		require.NoError(t, l.Trim(t.Context(), 150))
		require.Equal(t, talos.OffsetRange{Start: 150, End: 300}, l.Range())
		_, err := l.Read(t.Context(), 149, 1)
		require.ErrorIs(t, err, talos.OffsetOutOfRange)
		require.Len(t, r.values(l, 150), 150)
		require.Equal(t, all, r.segments(), "readers may still be at it")

		advance(removeDelay + time.Second)
		synctest.Wait()
		left := r.segments()
		require.Less(t, len(left), len(all))
		require.Equal(t, all[len(all)-len(left):], left, "the oldest ones went")
		require.Len(t, r.values(l, 150), 150)

		require.NoError(t, l.Trim(t.Context(), 100), "a start that is passed already stays")
		require.ErrorIs(t, l.Trim(t.Context(), 301), talos.OffsetOutOfRange)
		l = r.open("b")
		require.Equal(t, talos.OffsetRange{Start: 150, End: 300}, l.Range())
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestProducersOutliveTheDataTheyWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		first := r.append(l, idempotent("x", 7, 0, 0))
		for range 300 {
			r.append(l, plain(strings.Repeat("x", 1000)))
		}
		require.NoError(t, l.Trim(t.Context(), l.Range().End))
		advance(removeDelay + time.Second)
		synctest.Wait()
		require.Len(t, r.segments(), 1, "the newest one stays")
		l = r.open("b")
		again := r.append(l, idempotent("x", 7, 0, 0))
		require.True(t, again.Duplicate)
		require.Equal(t, first.Base, again.Base)
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestGarbageOfFailedStartsIsRemovedAfterReopening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		var failed atomic.Bool
		r.records.before = func(op string) error {
			if op == "swap" && failed.CompareAndSwap(false, true) {
				return errInjected
			}
			return nil
		}
		r.append(l, plain("x"))
		require.NoError(t, l.Close(t.Context()))
		garbage, counts := name(1, 1, 0).String(), name(1, 2, 0).String()
		require.Equal(t, []string{garbage, counts}, r.segments())
		l = r.open("a")
		advance(removeDelay + time.Second)
		synctest.Wait()
		require.Equal(t, []string{counts}, r.segments())
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestADeposedOwnerRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		for range 300 {
			r.append(l, plain(strings.Repeat("x", 1000)))
		}
		require.NoError(t, l.Trim(t.Context(), 300))
		all := r.segments()
		r.records.mu.Lock()
		r.records.rec.Epoch++ // somebody else's
		r.records.mu.Unlock()
		advance(removeDelay + time.Second)
		synctest.Wait()
		require.Equal(t, all, r.segments())
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestGarbageIsWhatCanNeverCountAgain(t *testing.T) {
	for _, c := range []struct {
		what   string
		rec    talos.PartitionRecord
		folder []talos.SegmentName
		want   []talos.SegmentName
	}{
		{
			"below the start, whatever made it", record(5, 4, 3, 20),
			[]talos.SegmentName{name(1, 1, 0), name(2, 1, 9), name(2, 2, 9), name(3, 2, 15), name(4, 2, 30)},
			[]talos.SegmentName{name(1, 1, 0), name(2, 1, 9), name(2, 2, 9)},
		},
		{
			"an epoch that lost its number", record(5, 2, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 1, 9), name(2, 3, 7)},
			[]talos.SegmentName{name(2, 1, 9)},
		},
		{
			"a create whose epoch has passed", record(5, 1, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 4, 9)},
			[]talos.SegmentName{name(2, 4, 9)},
		},
		{
			"not a create that may be under way", record(5, 1, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 5, 9)},
			nil,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			infos := []storage.Info{{Name: "foreign"}}
			for _, n := range c.folder {
				infos = append(infos, storage.Info{Name: n.String()})
			}
			require.Equal(t, c.want, garbage(c.rec, infos))
		})
	}
}

func TestADeposedLogDoesNotMissWhatItsSuccessorTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		first := r.open("a")
		for range 300 {
			r.append(first, plain(strings.Repeat("x", 1000)))
		}
		old := r.open("b") // has nothing in memory
		now := r.open("c")
		require.NoError(t, now.Trim(t.Context(), 300))
		advance(removeDelay + time.Second)
		synctest.Wait()
		_, err := old.Read(t.Context(), 0, 1)
		require.ErrorIs(t, err, talos.NotOwner)
		require.NoError(t, now.Close(t.Context()))
		require.NoError(t, old.Close(t.Context()))
		require.NoError(t, first.Close(t.Context()))
	})
}
