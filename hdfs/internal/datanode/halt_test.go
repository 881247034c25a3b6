package datanode

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestHaltAsksEachDataNodeAndTellsWhoRefused(t *testing.T) {
	nodes := three(t)
	nodes[1].accept = func(*wire.OpWriteBlock) *wire.BlockOpResponse {
		return &wire.BlockOpResponse{Status: wire.Status_ERROR.Enum(), Message: proto.String("not being written")}
	}
	refused := Halt(t.Context(), Config{ClientName: "recovers"}, blockOn(nodes...))
	require.Len(t, refused, 1)
	require.Equal(t, nodes[1].info, refused[0].Node)
	require.ErrorContains(t, refused[0], "not being written")
	for _, f := range nodes {
		f.mu.Lock()
		require.Equal(t, wire.Stage_PIPELINE_SETUP_STREAMING_RECOVERY, f.op.GetStage())
		require.EqualValues(t, 1001, f.op.GetHeader().GetBase().GetBlock().GetGenerationStamp())
		require.EqualValues(t, 1001, f.op.GetLatestGenerationStamp(), "the same one: the NameNode knows of nothing")
		require.Zero(t, f.op.GetMinBytesReceived())
		require.EqualValues(t, maxBlock, f.op.GetMaxBytesReceived())
		f.mu.Unlock()
	}
}

func TestABlockThatSomeDataNodesHaveOpenedIsOpenedAgain(t *testing.T) {
	nodes := three(t)
	for _, f := range nodes {
		f.data = make([]byte, 1300)
	}
	w, failed := Connect(t.Context(), Config{}, blockOn(nodes...), Setup{Append: true, Again: true, Length: 1300, NewStamp: 1003})
	require.Empty(t, failed)
	require.NoError(t, w.Finish(t.Context()))
	for _, f := range nodes {
		require.Equal(t, wire.Stage_PIPELINE_SETUP_APPEND_RECOVERY, f.op.GetStage())
	}
}

// What a DataNode has in excess or lacks must show: it refuses any other length.
func TestReplicasAreClosedAtOneLengthOnly(t *testing.T) {
	nodes := three(t)
	for i, length := range []int{1300, 1299, 1301} {
		nodes[i].accept = func(op *wire.OpWriteBlock) *wire.BlockOpResponse {
			if op.GetMinBytesReceived() != uint64(length) || op.GetMaxBytesReceived() != uint64(length) {
				return &wire.BlockOpResponse{Status: wire.Status_ERROR.Enum(), Message: proto.String("another length")}
			}
			return &wire.BlockOpResponse{Status: wire.Status_SUCCESS.Enum(), FirstBadLink: proto.String("")}
		}
	}
	refused := CloseReplicas(t.Context(), Config{}, blockOn(nodes...), 1300, 1003)
	require.Len(t, refused, 2)
	require.Equal(t, nodes[1].info, refused[0].Node)
	require.Equal(t, nodes[2].info, refused[1].Node)
	for _, f := range nodes {
		f.mu.Lock()
		require.Equal(t, wire.Stage_PIPELINE_CLOSE_RECOVERY, f.op.GetStage())
		require.EqualValues(t, 1001, f.op.GetHeader().GetBase().GetBlock().GetGenerationStamp())
		require.EqualValues(t, 1003, f.op.GetLatestGenerationStamp())
		require.EqualValues(t, 1300, f.op.GetHeader().GetBase().GetBlock().GetNumBytes())
		f.mu.Unlock()
	}
}
