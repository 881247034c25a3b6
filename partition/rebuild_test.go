package partition

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// filled opens the partition n times; each owner appends one record and closes.
func (r *rig) filled(n int) {
	for i := range n {
		l := r.open("a")
		r.append(l, plain(fmt.Sprint("r", i)))
		require.NoError(r.t, l.Close(r.t.Context()))
	}
}

func (r *rig) id() talos.PartitionID { return talos.PartitionID{Topic: r.topic.ID} }

func (r *rig) plan() (Rebuild, error) {
	return PlanRebuild(r.t.Context(), r.store, r.id(), r.records.rec)
}

// rebuild puts the planned record in place.
func (r *rig) rebuild() Rebuild {
	r.t.Helper()
	plan, err := r.plan()
	require.NoError(r.t, err)
	r.records.rec = plan.After
	return plan
}

// orphan creates a segment as an owner does whose swap will fail.
func (r *rig) orphan(name, previous talos.SegmentName) {
	r.t.Helper()
	_, head, err := segment.NewWriter(segment.Header{
		Cluster: "c", Topic: r.topic.ID, TopicName: r.topic.Name, Name: name, Previous: previous, Window: window,
	}, nil, segment.Meta{Base: name.Base, Next: name.Base, Acked: name.Base}, 0)
	require.NoError(r.t, err)
	a, err := r.store.Create(r.t.Context(), storage.ID{Folder: r.id().String(), Name: name.String()}, head, talos.Sync)
	require.NoError(r.t, err)
	r.t.Cleanup(a.Abandon)
}

func (r *rig) remove(name talos.SegmentName) {
	r.t.Helper()
	require.NoError(r.t, r.store.Remove(r.t.Context(), storage.ID{Folder: r.id().String(), Name: name.String()}))
}

func segmentName(number talos.SegmentNumber, epoch talos.Epoch, base talos.Offset) talos.SegmentName {
	return talos.SegmentName{Number: number, Epoch: epoch, Base: base}
}

// However much an old copy of the record misses, the partition refuses to serve,
// removes nothing, and is whole again after a rebuild.
func TestAnOldRecordIsNoticedAndRebuilt(t *testing.T) {
	for _, missed := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("%d segments", missed), func(t *testing.T) {
			r := newRig(t)
			r.filled(2)
			old := r.records.rec
			r.filled(missed)
			var want []string
			l := r.open("a")
			want = r.values(l, 0)
			require.Len(t, want, 2+missed)
			require.NoError(t, l.Close(t.Context()))

			r.records.rec = old
			_, err := Open(t.Context(), r.config("a"))
			require.ErrorIs(t, err, talos.RestoredRecord)
			plan := r.rebuild()
			require.Greater(t, plan.After.Epoch, talos.Epoch(2+missed))
			l = r.open("a")
			require.Equal(t, want, r.values(l, 0))
			require.Equal(t, talos.Offset(len(want)), r.append(l, plain("next")).Base)
		})
	}
}

// The last segment alone is missed, and no epoch was raised since: the name of
// that segment looks like a create whose swap failed.
// unreadable is a store in which a segment can't be read until it is recovered.
type unreadable struct {
	storage.Store
	recovered map[storage.ID]bool
}

func (s *unreadable) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	if !s.recovered[id] {
		return nil, errInjected
	}
	return s.Store.Open(ctx, id)
}

func (s *unreadable) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	info, err := s.Store.Recover(ctx, id)
	s.recovered[id] = err == nil
	return info, err
}

// A segment beyond an old record's tail that was being written when the store fell
// over is recovered by whoever must know what is in it: opening, or rebuild.
func TestWhatCanNotBeReadIsRecovered(t *testing.T) {
	for _, opens := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			old := r.records.rec
			l := r.open("a")
			r.append(l, plain("x"))
			require.NoError(t, l.Close(t.Context()))
			r.records.rec = old
			r.store = &unreadable{r.store, map[storage.ID]bool{}}
			if opens {
				r.records.assign("b")
				_, err := Open(t.Context(), r.config("b"))
				require.ErrorIs(t, err, talos.RestoredRecord)
			}
			r.rebuild()
			l = r.open("b")
			require.Equal(t, []string{"0:x"}, r.values(l, 0))
		})
	}
}

func TestARollThatTheRecordMissesIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		r.append(l, plain("one"))
		old := r.records.rec
		advance(l.maxAge) // it rolls
		r.append(l, plain("two"))
		require.NoError(t, l.Close(t.Context()))
		require.Equal(t, old.Tail+1, r.records.rec.Tail)
		require.Equal(t, old.Epoch, r.records.rec.Epoch)

		r.records.rec = old
		_, err := Open(t.Context(), r.config("a"))
		require.ErrorIs(t, err, talos.RestoredRecord)
		r.rebuild()
		require.Equal(t, []string{"0:one", "1:two"}, r.values(r.open("a"), 0))
	})
}

func TestARecordThatIsRightIsLeftAlone(t *testing.T) {
	r := newRig(t)
	r.filled(3)
	plan, err := r.plan()
	require.NoError(t, err)
	require.Equal(t, plan.Before, plan.After)
	require.Len(t, plan.Chain, 3)
	require.Empty(t, plan.Left)
}

// An owner that was deposed created the next segment with the end that it knew;
// the one after it recovered, and acknowledged as duplicates, more than that.
func TestAnEmptySegmentCutsNothingOff(t *testing.T) {
	r := newRig(t)
	r.filled(2)
	last := segmentName(2, 2, 1)
	r.orphan(segmentName(3, 2, 1), last)
	r.records.rec = talos.NewPartitionRecord()
	plan := r.rebuild()
	require.Equal(t, talos.SegmentNumber(2), plan.After.Tail)
	require.Equal(t, []talos.SegmentName{segmentName(3, 2, 1)}, plan.Left)
	require.Equal(t, []string{"0:r0", "1:r1"}, r.values(r.open("a"), 0))
}

// What was removed below the start may have left a segment that never counted:
// its number is lower than that of the oldest one that does.
func TestTheStartIsTheOldestThatIsThereWithoutAGap(t *testing.T) {
	r := newRig(t)
	r.filled(4)
	r.orphan(segmentName(2, 1, 1), segmentName(1, 1, 0))
	r.remove(segmentName(1, 1, 0))
	r.remove(segmentName(2, 2, 1))
	r.records.rec = talos.NewPartitionRecord()
	plan := r.rebuild()
	require.Equal(t, talos.LogStart{Number: 3, Offset: 2}, plan.After.Start)
	require.Equal(t, []talos.SegmentName{segmentName(2, 1, 1)}, plan.Left)
	require.Equal(t, []string{"2:r2", "3:r3"}, r.values(r.open("a"), 2))
}

// All that is left may be one segment that nothing was written to: the offsets
// before it were given out all the same.
func TestOffsetsAreNeverGivenOutTwice(t *testing.T) {
	r := newRig(t)
	r.orphan(segmentName(7, 3, 1000), segmentName(6, 2, 900))
	r.rebuild()
	require.Equal(t, talos.Offset(1000), r.append(r.open("a"), plain("x")).Base)
}

func TestAStartThatWasSetIsNotTakenBack(t *testing.T) {
	r := newRig(t)
	r.filled(3)
	r.records.rec.Start = talos.LogStart{Number: 2, Offset: 1}
	r.records.rec.Tail, r.records.rec.Epoch = 2, 2
	plan := r.rebuild()
	require.Equal(t, talos.LogStart{Number: 2, Offset: 1}, plan.After.Start)
	require.Equal(t, []talos.SegmentName{segmentName(1, 1, 0)}, plan.Left)
}

// A gap would make records unreachable, and then be swept: that is no rebuild.
func TestAGapIsRefused(t *testing.T) {
	r := newRig(t)
	r.filled(3)
	r.remove(segmentName(2, 2, 1))
	_, err := r.plan()
	require.ErrorIs(t, err, talos.BrokenChain)
	require.ErrorContains(t, err, "is one between them missing?")
}

func TestAnEmptyFolderIsRefused(t *testing.T) {
	r := newRig(t)
	_, err := r.plan()
	require.ErrorIs(t, err, talos.BrokenChain)
}
