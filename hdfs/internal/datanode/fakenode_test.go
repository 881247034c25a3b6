package datanode

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// received is a packet as a DataNode sees it.
type received struct {
	header *wire.PacketHeader
	data   []byte
}

// action is what a fake DataNode does with a packet besides keeping it.
type action func(conn net.Conn, p received) (goOn bool)

// fakeNode is a DataNode that takes one block, and checks every packet harder
// than a real one does. One with a replica is read instead.
type fakeNode struct {
	// replica is what it offers to readers.
	replica *replica

	t    testing.TB
	info *wire.DatanodeInfo
	// accept answers the operation; nil accepts.
	accept func(*wire.OpWriteBlock) *wire.BlockOpResponse
	// on acts instead of acknowledging; nil acknowledges.
	on action

	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	conns   []net.Conn
	op      *wire.OpWriteBlock
	data    []byte
	synced  int // length at the newest packet with syncBlock
	seqno   int64
	beats   int
	ended   bool
	problem error
	reads   []*wire.OpReadBlock
	thanks  []wire.Status // what readers said at the end
}

func newFakeNode(t testing.TB, port uint32) *fakeNode {
	return &fakeNode{t: t, info: &wire.DatanodeInfo{Id: &wire.DatanodeID{
		IpAddr: proto.String("127.0.0.1"), HostName: proto.String("localhost"),
		DatanodeUuid: proto.String(fmt.Sprintf("node-%d", port)), XferPort: &port,
		InfoPort: proto.Uint32(0), IpcPort: proto.Uint32(0),
	}}}
}

// listening returns a fake on a real socket of the loopback.
func listening(t testing.TB) *fakeNode {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := newFakeNode(t, uint32(listener.Addr().(*net.TCPAddr).Port))
	f.listener = listener
	f.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.work.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(f.close)
	return f
}

func (f *fakeNode) close() {
	if f.listener != nil {
		_ = f.listener.Close()
	}
	f.mu.Lock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.work.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(f.t, f.problem)
}

func (f *fakeNode) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	f.mu.Lock()
	f.conns = append(f.conns, conn)
	f.mu.Unlock()
	r := bufio.NewReader(conn)
	if _, err := r.Peek(1); err != nil {
		return
	}
	if f.replica != nil {
		f.serveReads(conn, r)
		return
	}
	op := &wire.OpWriteBlock{}
	if readOperation(r, opWriteBlock, op) != nil {
		return
	}
	f.mu.Lock()
	f.op = op
	f.mu.Unlock()
	answer := &wire.BlockOpResponse{Status: wire.Status_SUCCESS.Enum(), FirstBadLink: proto.String("")}
	if f.accept != nil {
		answer = f.accept(op)
	}
	if answer == nil || writeDelimited(conn, answer) != nil || answer.GetStatus() != wire.Status_SUCCESS {
		return
	}
	for {
		p, err := f.packet(r)
		if err != nil {
			return
		}
		act := acknowledge
		if f.on != nil {
			act = f.on
		}
		if !act(conn, p) || p.header.GetLastPacketInBlock() {
			return
		}
	}
}

// packet reads the next packet, checks and keeps it.
func (f *fakeNode) packet(r io.Reader) (received, error) {
	p, err := readPacket(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		err = f.keep(p)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && f.problem == nil {
		var network net.Error
		if !errors.As(err, &network) && !errors.Is(err, io.ErrClosedPipe) {
			f.problem = err
		}
	}
	return p, err
}

func (f *fakeNode) keep(p received) error {
	h := p.header
	if h.GetSeqno() == heartbeatSeqno {
		f.beats++
		if len(p.data) > 0 || h.GetOffsetInBlock() != 0 {
			return fmt.Errorf("a heartbeat with data: %v", h)
		}
		return nil
	}
	if h.GetSeqno() != f.seqno {
		return fmt.Errorf("packet %d came when %d was due", h.GetSeqno(), f.seqno)
	}
	f.seqno++
	at := int(h.GetOffsetInBlock())
	if at > len(f.data) || len(p.data) == 0 && at != len(f.data) || len(p.data) > 0 && at != len(f.data)/ChunkBytes*ChunkBytes {
		return fmt.Errorf("packet at %d, the block has %d bytes", at, len(f.data))
	}
	if !bytes.HasPrefix(p.data, f.data[at:]) {
		return fmt.Errorf("packet at %d overwrites bytes with others", at)
	}
	f.data = append(f.data[:at], p.data...)
	if h.GetSyncBlock() {
		f.synced = len(f.data)
	}
	f.ended = h.GetLastPacketInBlock()
	return nil
}

// got returns what the block holds.
func (f *fakeNode) got() (data []byte, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.data), f.ended
}

func readPacket(r io.Reader) (received, error) {
	var lengths [6]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return received{}, err
	}
	header := make([]byte, binary.BigEndian.Uint16(lengths[4:]))
	if _, err := io.ReadFull(r, header); err != nil {
		return received{}, err
	}
	p := received{header: &wire.PacketHeader{}}
	if err := proto.Unmarshal(header, p.header); err != nil {
		return received{}, err
	}
	n := int(p.header.GetDataLen())
	sums := make([]byte, (n+ChunkBytes-1)/ChunkBytes*sumBytes)
	if want := 4 + len(sums) + n; int(binary.BigEndian.Uint32(lengths[:])) != want || n > maxPacketData {
		return received{}, fmt.Errorf("packet length %d instead of %d", binary.BigEndian.Uint32(lengths[:]), want)
	}
	if _, err := io.ReadFull(r, sums); err != nil {
		return received{}, err
	}
	p.data = make([]byte, n)
	if _, err := io.ReadFull(r, p.data); err != nil {
		return received{}, err
	}
	for i := 0; i*ChunkBytes < n; i++ {
		chunk := p.data[i*ChunkBytes : min((i+1)*ChunkBytes, n)]
		if crc32.Checksum(chunk, castagnoli) != binary.BigEndian.Uint32(sums[i*sumBytes:]) {
			return received{}, fmt.Errorf("wrong checksum of chunk %d of packet %d", i, p.header.GetSeqno())
		}
	}
	return p, nil
}

func readOperation(r *bufio.Reader, op byte, m proto.Message) error {
	var b [3]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint16(b[:]) != protocolVersion || b[2] != op {
		return fmt.Errorf("operation %x", b)
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(r, message); err != nil {
		return err
	}
	return proto.Unmarshal(message, m)
}

func writeDelimited(w io.Writer, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err == nil {
		_, err = w.Write(append(protowire.AppendVarint(nil, uint64(len(b))), b...))
	}
	return err
}

// answer acknowledges a packet with any seqno and status.
func answer(w io.Writer, seqno int64, status wire.Status) bool {
	return writeDelimited(w, &wire.PipelineAck{
		Seqno: &seqno, Reply: []wire.Status{status}, DownstreamAckNanos: proto.Uint64(0), Flag: []uint32{uint32(status)},
	}) == nil
}

func acknowledge(conn net.Conn, p received) bool {
	return answer(conn, p.header.GetSeqno(), wire.Status_SUCCESS)
}

// from acts from a packet on, and acknowledges those before it.
func from(seqno int64, act action) action {
	return func(conn net.Conn, p received) bool {
		if p.header.GetSeqno() < seqno {
			return acknowledge(conn, p)
		}
		return act(conn, p)
	}
}

// blockOn is a new block on the nodes.
func blockOn(nodes ...*fakeNode) *wire.LocatedBlock {
	b := &wire.LocatedBlock{
		Block: &wire.ExtendedBlock{
			PoolId: proto.String("pool"), BlockId: proto.Uint64(1073741825), GenerationStamp: proto.Uint64(1001), NumBytes: proto.Uint64(0),
		},
		Offset: proto.Uint64(0), Corrupt: proto.Bool(false),
		Token: &wire.Token{Identifier: []byte{}, Password: []byte{}, Kind: proto.String(""), Service: proto.String("")},
	}
	for i, f := range nodes {
		b.Locations = append(b.Locations, f.info)
		b.StorageTypes = append(b.StorageTypes, wire.StorageType_DISK)
		b.StorageIds = append(b.StorageIds, fmt.Sprintf("storage-%d", i))
	}
	return b
}

// piped dials the fakes by net.Pipe, for virtual time.
func piped(nodes ...*fakeNode) Dialer {
	return func(_ context.Context, address string) (net.Conn, error) {
		for _, f := range nodes {
			if Address(f.info, false) == address {
				ours, theirs := net.Pipe()
				f.work.Go(func() { f.serve(theirs) })
				return ours, nil
			}
		}
		return nil, fmt.Errorf("nobody listens at %s", address)
	}
}

// connected opens a block on the nodes over loopback.
func connected(t testing.TB, c Config, nodes ...*fakeNode) *Writer {
	w, failed := Connect(t.Context(), c, blockOn(nodes...), Setup{})
	require.Empty(t, failed)
	t.Cleanup(w.Abandon)
	return w
}
