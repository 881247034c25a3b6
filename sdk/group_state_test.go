package sdk

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
)

func quietCoordinator() *coordinatorLink {
	return &coordinatorLink{client: &Client{cfg: clientConfig{logger: slog.New(slog.DiscardHandler)}, epochs: newEpochs()}, group: "readers"}
}

// A commit whose answer is missing is sent again, but nothing of partitions that were
// lost meanwhile: others may have gone further, and the member, which may have them
// again, would take that back.
func TestWhatIsForgottenIsNotCommittedAgain(t *testing.T) {
	kept, lost := talos.PartitionID{Number: 1}, talos.PartitionID{Number: 2}
	o := newGroupOffsets(groupConfig{}, nil, quietCoordinator())
	o.finish(map[talos.PartitionID]progress{kept: {"logs", 10}, lost: {"logs", 20}})
	require.Len(t, o.takeOff(), 2)
	o.forget(placedPartitions{lost: "logs"})
	o.putBack()
	again := o.takeOff()
	require.Len(t, again, 1)
	require.Equal(t, []int64{1, 10}, []int64{int64(again[0].GetPartition()), again[0].GetOffset()})
}

// What was processed since is newer than what is put back.
func TestWhatIsNewerIsCommitted(t *testing.T) {
	p := talos.PartitionID{Number: 1}
	o := newGroupOffsets(groupConfig{}, nil, quietCoordinator())
	o.finish(map[talos.PartitionID]progress{p: {"logs", 10}})
	o.takeOff()
	o.finish(map[talos.PartitionID]progress{p: {"logs", 11}})
	o.putBack()
	require.EqualValues(t, 11, o.takeOff()[0].GetOffset())
}

// A hung member is lost before its farewell is sent: a Poll that comes while that is
// on its way finds nothing that it may read.
func TestAHungMemberIsLostBeforeItsFarewell(t *testing.T) {
	owned := placedPartitions{talos.PartitionID{Number: 1}: "logs"}
	m := newMembership(groupConfig{processing: time.Minute}, "readers", quietCoordinator())
	m.epoch, m.owned, m.assigned = 3, owned, owned
	m.deadline, m.left = time.Now().Add(time.Hour), time.Now()
	require.Nil(t, m.hangUp(), "it was there a moment ago")
	m.left = time.Now().Add(-2 * time.Minute)
	m.polling()
	require.Nil(t, m.hangUp(), "it waits for records")
	m.polled()
	m.left = time.Now().Add(-2 * time.Minute)

	goodbye := m.hangUp()
	require.EqualValues(t, 3, goodbye.GetMemberEpoch())
	require.Equal(t, m.id, goodbye.GetMemberId())
	require.True(t, m.lapses())
	require.True(t, m.waits())
	require.Nil(t, m.hangUp(), "once")
	_, _, ok := m.request()
	require.False(t, ok, "it says nothing more")
	require.ErrorIs(t, m.trouble(), talos.FencedMember)

	before := goodbye.GetMemberId()
	m.dropped()
	m.lose(before, context.Canceled)
	require.False(t, m.standing().lost, "a late answer to the member of before does not touch the next one")
}
