package datanode

import (
	"bufio"
	"context"
	"net"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// Halt ends the writer of a block that is being written, whoever that is, on each
// of its DataNodes, and returns those that did not do it: since they can't be
// reached, or have no replica that is being written. It waits for all of them, and
// for none longer than for a connection.
//
// Each replica then ends with what its DataNode had acknowledged, and DataNode and
// disk agree on that. A block's recovery ends the writer too, but in whatever it
// does: of a replica that is interrupted between the write of a packet and the note
// of it, most of that time being the sync, the DataNode knows a length that is not
// the file's, and no recovery takes it until the DataNode is restarted.
//
// It is the set-up of a pipeline recovery that goes no further, and under the same
// generation stamp: the NameNode is not asked, and nothing else changes.
func Halt(ctx context.Context, c Config, block *wire.LocatedBlock) []*NodeError {
	return ask(ctx, c.withDefaults(), block, halting, nil, hangUp)
}

// halting asks a DataNode to let somebody else go on behind what it acknowledged,
// however much that is.
func halting(c Config, block *wire.LocatedBlock, i int) *wire.OpWriteBlock {
	op := operation(c, block, i, Setup{})
	op.Stage = wire.Stage_PIPELINE_SETUP_STREAMING_RECOVERY.Enum()
	op.MaxBytesReceived = proto.Uint64(maxBlock)
	return op
}

// CloseReplicas ends a block at a length that each of its DataNodes has, under a new
// generation stamp, and returns those that did not do it. Their writer must have
// ended.
func CloseReplicas(ctx context.Context, c Config, block *wire.LocatedBlock, length int64, stamp uint64) []*NodeError {
	return ask(ctx, c.withDefaults(), block, func(c Config, block *wire.LocatedBlock, i int) *wire.OpWriteBlock {
		op := operation(c, block, i, Setup{Append: true, Length: length, NewStamp: stamp})
		op.Stage = wire.Stage_PIPELINE_CLOSE_RECOVERY.Enum()
		return op
	}, nil, hangUp)
}

// hangUp ends a connection on which nothing is to follow.
func hangUp(_ int, conn net.Conn, _ *bufio.Reader) {
	_ = conn.Close() // nothing was written
}

// maxBlock is more than any replica has, in bytes.
const maxBlock = 1 << 50

// Listens tells whether a process waits for connections where a DataNode is
// reached. It may be stopped.
func Listens(ctx context.Context, c Config, node *wire.DatanodeInfo) bool {
	c = c.withDefaults()
	conn, err := dial(ctx, c.Dial, Address(node, c.UseHostname), c.ConnectTimeout)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}
