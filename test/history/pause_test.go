package history_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
)

func TestTheLongestPauseIsTheWorstPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := history.New()
		sent := 0
		ack := func(partition int32) {
			id := history.ID{Sequence: sent}
			h.Send(id, partition, content(sent))
			h.Acked(id, history.Ack{Partition: partition, Offset: talos.Offset(sent)})
			sent++
		}
		begun := time.Now()
		at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
		for second := range 20 {
			if second < 5 || second > 8 {
				ack(0) // pauses from 4 to 9
			}
			if second%3 == 0 {
				ack(1)
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 5*time.Second, h.LongestPause(at(6), at(7)))
		require.Equal(t, 3*time.Second, h.LongestPause(at(10), at(17)))
		require.Equal(t, 3*time.Second, h.LongestPause(at(0), at(4)))
		require.Equal(t, 12*time.Second, h.LongestPause(at(19), at(30)), "the last acknowledgement was at 18")
	})
}
