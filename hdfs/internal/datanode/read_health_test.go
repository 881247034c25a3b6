package datanode

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestWhatFailedLatelyComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newFakeNode(t, 1).info, newFakeNode(t, 2).info, newFakeNode(t, 3).info
		block := &wire.LocatedBlock{
			Block:     &wire.ExtendedBlock{PoolId: proto.String("p"), BlockId: proto.Uint64(7)},
			Locations: []*wire.DatanodeInfo{a, b, c},
		}
		h := newHealth()
		order := func() (ports []uint32) {
			for _, node := range h.order(block) {
				ports = append(ports, node.GetId().GetXferPort())
			}
			time.Sleep(time.Second)
			return ports
		}
		require.Equal(t, []uint32{1, 2, 3}, order())
		h.failed(a, block.Block, ReasonTimeout)
		require.Equal(t, []uint32{2, 3, 1}, order())
		h.failed(b, block.Block, ReasonChecksum)
		require.Equal(t, []uint32{3, 1, 2}, order())
		h.failed(c, block.Block, ReasonMissing)
		require.Equal(t, []uint32{1, 2, 3}, order(), "all failed: the one that failed first")
		h.well(a, block.Block)
		require.Equal(t, []uint32{1, 2, 3}, order())
		h.failed(a, block.Block, ReasonConnect)
		require.Equal(t, []uint32{2, 3, 1}, order())
		time.Sleep(sickTime)
		require.Equal(t, []uint32{1, 2, 3}, order())
		require.Empty(t, h.sick)
	})
}

func TestOnlySoManyFailuresAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth()
		for i := range uint32(maxSick + 1) {
			h.failed(newFakeNode(t, i).info, nil, ReasonConnect)
			time.Sleep(time.Millisecond)
		}
		require.Len(t, h.sick, maxSick)
		require.NotContains(t, h.sick, fmt.Sprintf("node-%d", 0), "the first is forgotten")
	})
}
