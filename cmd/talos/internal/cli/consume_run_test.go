package cli

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// timetable finds the same offsets at any time.
type timetable struct {
	offsets []sdk.PartitionOffsets
	err     error
	asked   []time.Time
}

func (t *timetable) OffsetsAt(_ context.Context, _ talos.TopicName, at time.Time) ([]sdk.PartitionOffsets, error) {
	t.asked = append(t.asked, at)
	return t.offsets, t.err
}

// Where --until lets each partition end: never behind the end that it has.
func TestConsumeEnds(t *testing.T) {
	now := time.Now()
	present := map[int32]talos.Offset{0: 10, 2: 5}
	table := &timetable{offsets: []sdk.PartitionOffsets{
		{Partition: 0, AtTime: 7},
		{Partition: 1, Err: talos.NotServing}, // it is not read
		{Partition: 2, AtTime: 9},             // it grew since
	}}
	for name, test := range map[string]struct {
		until place
		want  map[int32]talos.Offset
	}{
		"not given": {place{}, present},
		"an offset": {place{kind: atOffset, offset: 6}, map[int32]talos.Offset{0: 6, 2: 5}},
		"nothing":   {place{kind: atOffset}, map[int32]talos.Offset{0: 0, 2: 0}},
		"a time":    {place{kind: atTime, time: now}, map[int32]talos.Offset{0: 7, 2: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := consumePlan{until: test.until}.ends(t.Context(), table, present)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	require.Equal(t, []time.Time{now}, table.asked)
	require.Equal(t, map[int32]talos.Offset{0: 10, 2: 5}, present)
}

// Without an answer for a partition that is read, nothing is printed at all.
func TestConsumeEndsAreAllKnown(t *testing.T) {
	p := consumePlan{until: place{kind: atTime, time: time.Now()}}
	table := &timetable{offsets: []sdk.PartitionOffsets{{Partition: 0, Err: talos.NotServing}}}
	_, err := p.ends(t.Context(), table, map[int32]talos.Offset{0: 10})
	require.ErrorIs(t, err, talos.NotServing)
	_, err = p.ends(t.Context(), &timetable{err: talos.UnknownTopic}, map[int32]talos.Offset{0: 10})
	require.ErrorIs(t, err, talos.UnknownTopic)
}
