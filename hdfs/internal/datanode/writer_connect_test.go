package datanode

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestADataNodeIsToldHowMuchToSetAside(t *testing.T) {
	block := &wire.LocatedBlock{Block: &wire.ExtendedBlock{BlockId: proto.Uint64(7)}}
	asked := func(s Setup) uint64 {
		return operation(Config{}, block, 0, s).GetHeader().GetBase().GetBlock().GetNumBytes()
	}
	require.EqualValues(t, 16<<20, asked(Setup{Reserve: 16 << 20}))
	require.Zero(t, asked(Setup{}))
	require.EqualValues(t, 5, asked(Setup{Append: true, Length: 5}), "a block that is opened again has its length")
	require.Zero(t, block.GetBlock().GetNumBytes(), "the caller's block stays as it is")
}
