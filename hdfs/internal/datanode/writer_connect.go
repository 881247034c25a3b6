package datanode

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// Setup says how a block is opened; the zero value makes a new one.
type Setup struct {
	// Append opens a closed block of Length bytes under the generation stamp
	// NewStamp, only to sync and finish it: it takes no data.
	Append bool
	// Again says that some of the DataNodes may have opened it already, under a
	// stamp between the block's and NewStamp.
	Again    bool
	Length   int64
	NewStamp uint64
	// Reserve is how much of its free space a DataNode sets aside for a new block, in
	// bytes. For 0 it takes the block size of its own configuration.
	Reserve int64
	// Head is the first append to a new block, with a sync. Its first packet goes out
	// with the operation, before the DataNodes have answered. HeadDone is its done, as of
	// Append, and not called if Connect fails. Without HeadDone there is no head.
	Head     []byte
	HeadDone func(error)
}

// Connect opens a block on all of its DataNodes at once, and returns when each is
// connected or has failed. If any has, all connections are closed and the writer
// is nil. The caller must Finish or Abandon the writer.
func Connect(ctx context.Context, c Config, block *wire.LocatedBlock, s Setup) (*Writer, []*NodeError) {
	nodes := block.GetLocations()
	if len(nodes) == 0 {
		return nil, []*NodeError{{Node: &wire.DatanodeInfo{}, Err: errors.New("the block has no DataNodes")}}
	}
	c = c.withDefaults()
	w := &Writer{
		config: c, fixed: s.Append, legs: make([]*leg, len(nodes)), senders: len(nodes),
		dead: make(chan struct{}), rouse: make(chan struct{}, 1), newest: -1, syncing: -1, touched: time.Now(),
	}
	w.offset, w.acknowledged = s.Length, s.Length
	w.patience = patience{since: time.Now(), legs: make(map[*leg]wait, len(nodes))}
	head := newHead(w, s)
	failed := ask(ctx, c, block, func(c Config, block *wire.LocatedBlock, i int) *wire.OpWriteBlock {
		return operation(c, block, i, s)
	}, head.bytes(), func(i int, conn net.Conn, r *bufio.Reader) {
		w.legs[i] = newLeg(w, nodes[i], conn, r)
	})
	if len(failed) > 0 {
		for _, l := range w.legs {
			if l != nil {
				_ = l.conn.Close() // nothing was acknowledged
			}
		}
		return nil, failed
	}
	head.sent(w)
	for _, l := range w.legs {
		w.gone.Go(l.send)
		w.gone.Go(l.receive)
	}
	w.gone.Go(w.watch)
	return w, nil
}

// ask asks every DataNode of a block for an operation, all at once, hands over the
// connections to those that accept it, and returns those that don't. behind is sent
// with the operation.
func ask(
	ctx context.Context, c Config, block *wire.LocatedBlock,
	operation func(c Config, block *wire.LocatedBlock, i int) *wire.OpWriteBlock, behind []byte,
	accepted func(i int, conn net.Conn, r *bufio.Reader),
) (failed []*NodeError) {
	nodes := block.GetLocations()
	refused := make([]*NodeError, len(nodes))
	var all sync.WaitGroup
	for i, node := range nodes {
		all.Go(func() {
			conn, r, err := open(ctx, c, Address(node, c.UseHostname), operation(c, block, i), behind)
			if err != nil {
				refused[i] = &NodeError{Node: node, Err: err}
				return
			}
			accepted(i, conn, r)
		})
	}
	all.Wait()
	for _, one := range refused {
		if one != nil {
			failed = append(failed, one)
		}
	}
	return failed
}

// open connects to one DataNode and waits until it has accepted the operation.
func open(ctx context.Context, c Config, address string, op *wire.OpWriteBlock, behind []byte) (net.Conn, *bufio.Reader, error) {
	conn, err := dial(ctx, c.Dial, address, c.ConnectTimeout)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, maxAck)
	if err := accept(ctx, c, conn, r, op, behind); err != nil {
		_ = conn.Close() // the first error tells more
		return nil, nil, err
	}
	return conn, r, nil
}

func accept(ctx context.Context, c Config, conn net.Conn, r *bufio.Reader, op *wire.OpWriteBlock, behind []byte) error {
	if err := conn.SetDeadline(time.Now().Add(c.ConnectTimeout)); err != nil {
		return err
	}
	stop := interrupt(ctx, conn)
	_, err := request(conn, r, opWriteBlock, op, behind)
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("open block %d: %w", op.GetHeader().GetBase().GetBlock().GetBlockId(), err)
	}
	return conn.SetDeadline(time.Time{})
}

// operation is what the DataNode number i is asked for: to be a pipeline of its
// own.
func operation(c Config, block *wire.LocatedBlock, i int, s Setup) *wire.OpWriteBlock {
	id, stage, stamp := block.GetBlock(), wire.Stage_PIPELINE_SETUP_CREATE, block.GetBlock().GetGenerationStamp()
	if s.Reserve > 0 {
		id = proto.CloneOf(id)
		id.NumBytes = proto.Uint64(uint64(s.Reserve))
	}
	if s.Append {
		id = proto.CloneOf(id)
		id.NumBytes = proto.Uint64(uint64(s.Length))
		stage, stamp = wire.Stage_PIPELINE_SETUP_APPEND, s.NewStamp
		if s.Again {
			stage = wire.Stage_PIPELINE_SETUP_APPEND_RECOVERY
		}
	}
	op := &wire.OpWriteBlock{
		Header:           &wire.OperationHeader{Base: &wire.BaseHeader{Block: id, Token: block.GetToken()}, ClientName: &c.ClientName},
		Stage:            stage.Enum(),
		PipelineSize:     proto.Uint32(1),
		MinBytesReceived: proto.Uint64(uint64(s.Length)), MaxBytesReceived: proto.Uint64(uint64(s.Length)),
		LatestGenerationStamp: &stamp,
		RequestedChecksum:     &wire.Checksum{Type: wire.ChecksumType_CHECKSUM_CRC32C.Enum(), BytesPerChecksum: proto.Uint32(ChunkBytes)},
	}
	if types := block.GetStorageTypes(); i < len(types) {
		op.StorageType = types[i].Enum()
	}
	if ids := block.GetStorageIds(); i < len(ids) {
		op.StorageId = &ids[i]
	}
	return op
}
