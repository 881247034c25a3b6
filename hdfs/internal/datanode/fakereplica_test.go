package datanode

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// replica is a replica of a block as a fake DataNode sends it.
type replica struct {
	data []byte
	kind wire.ChecksumType
	// chunk is covered by one checksum; packet, a multiple of it, is the most data
	// in a packet.
	chunk, packet int
	// opened is called with each operation; if it returns an answer, that is sent
	// instead of the data, and the connection closed.
	opened func(*wire.OpReadBlock) *wire.BlockOpResponse
	// sending may spoil a packet; without goOn the connection is closed.
	sending func(p *sending) (goOn bool)
}

// sending is a packet on its way to a reader.
type sending struct {
	header     *wire.PacketHeader
	sums, data []byte
}

func newReplica(data []byte) *replica {
	return &replica{data: data, kind: wire.ChecksumType_CHECKSUM_CRC32C, chunk: ChunkBytes, packet: 64 << 10}
}

// offering returns a fake on the loopback that has a replica.
func offering(t testing.TB, r *replica) *fakeNode {
	f := listening(t)
	f.replica = r
	return f
}

// noise is data that differs from chunk to chunk.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func (r *replica) sum(chunk []byte) uint32 {
	if r.kind == wire.ChecksumType_CHECKSUM_CRC32 {
		return crc32.ChecksumIEEE(chunk)
	}
	return crc32.Checksum(chunk, castagnoli)
}

// serveReads answers one operation after the other.
func (f *fakeNode) serveReads(conn net.Conn, r *bufio.Reader) {
	for {
		op := &wire.OpReadBlock{}
		if readOperation(r, opReadBlock, op) != nil {
			return
		}
		f.mu.Lock()
		f.reads = append(f.reads, op)
		f.mu.Unlock()
		if f.replica.opened != nil {
			if answer := f.replica.opened(op); answer != nil {
				_ = writeDelimited(conn, answer)
				return
			}
		}
		if !f.replica.send(conn, op) {
			return
		}
		status := &wire.ReadStatus{}
		if readDelimited(r, status) != nil {
			return
		}
		f.mu.Lock()
		f.thanks = append(f.thanks, status.GetStatus())
		f.mu.Unlock()
	}
}

// send sends a range as Hadoop does: in whole chunks, and an empty packet at the
// end.
func (r *replica) send(conn net.Conn, op *wire.OpReadBlock) bool {
	from, end := int(op.GetOffset()), int(op.GetOffset()+op.GetLength())
	if end > len(r.data) {
		_ = writeDelimited(conn, refusal(fmt.Sprintf(
			"opReadBlock received exception java.io.IOException:  Offset %d and length %d don't match block", from, op.GetLength())))
		return false
	}
	from -= from % r.chunk
	end = min((end+r.chunk-1)/r.chunk*r.chunk, len(r.data))
	if writeDelimited(conn, &wire.BlockOpResponse{
		Status: wire.Status_SUCCESS.Enum(),
		ReadChecksumInfo: &wire.ReadChecksumInfo{
			Checksum:    &wire.Checksum{Type: &r.kind, BytesPerChecksum: proto.Uint32(uint32(r.chunk))},
			ChunkOffset: proto.Uint64(uint64(from)),
		},
	}) != nil {
		return false
	}
	for seqno := int64(0); ; seqno++ {
		n := min(r.packet, end-from)
		p := &sending{
			header: &wire.PacketHeader{
				OffsetInBlock: proto.Int64(int64(from)), Seqno: &seqno, LastPacketInBlock: proto.Bool(n == 0), DataLen: proto.Int32(int32(n)),
			},
			data: bytes.Clone(r.data[from : from+n]),
		}
		for rest := p.data; len(rest) > 0; rest = rest[min(r.chunk, len(rest)):] {
			p.sums = binary.BigEndian.AppendUint32(p.sums, r.sum(rest[:min(r.chunk, len(rest))]))
		}
		if r.sending != nil && !r.sending(p) || p.write(conn) != nil {
			return false
		}
		if p.header.GetLastPacketInBlock() {
			return true
		}
		from += n
	}
}

func (p *sending) write(conn net.Conn) error {
	header, err := proto.Marshal(p.header)
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(p.sums)+len(p.data)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(header)))
	b = append(append(append(b, header...), p.sums...), p.data...)
	_, err = conn.Write(b)
	return err
}

func refusal(message string) *wire.BlockOpResponse {
	return &wire.BlockOpResponse{Status: wire.Status_ERROR.Enum(), Message: &message}
}

func readDelimited(r *bufio.Reader, m proto.Message) error {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return proto.Unmarshal(b, m)
}

// served returns how many connections and operations there were, and what readers
// said at the end of each.
func (f *fakeNode) served() (conns, reads int, thanks []wire.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns), len(f.reads), f.thanks
}

// hangUp closes the connections, as a DataNode that restarts does.
func (f *fakeNode) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
}

// failovers records what OnFailover is told.
type failovers struct {
	mu  sync.Mutex // guards all
	all []string
}

func (o *failovers) add(node *wire.DatanodeInfo, reason string, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, node.GetId().GetDatanodeUuid()+" "+reason)
}

func (o *failovers) list() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

// reads returns Reads, and what they fail over.
func reads(t testing.TB, c ReadConfig) (*Reads, *failovers) {
	o := &failovers{}
	c.ClientName, c.OnFailover = "test", o.add
	r := NewReads(c)
	t.Cleanup(r.Close)
	return r, o
}

// requireRead reads a range and compares.
func requireRead(t require.TestingT, r *Reads, block *wire.LocatedBlock, data []byte, off, n int) {
	p := make([]byte, n)
	require.NoError(t, r.ReadAt(context.Background(), block, p, int64(off)))
	require.True(t, bytes.Equal(data[off:off+n], p), "range %d+%d", off, n)
}

// answerCall plays the RPC server of a DataNode: one call on one connection.
func answerCall[M proto.Message](t testing.TB, conn net.Conn, method string, answer func() (resp M, exception string)) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	if _, err := r.Discard(7); err != nil { // the preface
		return
	}
	if _, err := readFrame(r); err != nil { // who is calling
		return
	}
	frame, err := readFrame(r)
	if err != nil {
		return
	}
	header, call := &wire.RpcRequestHeader{}, &wire.RequestHeader{}
	in := bufio.NewReader(bytes.NewReader(frame))
	require.NoError(t, readDelimited(in, header))
	require.NoError(t, readDelimited(in, call))
	require.Equal(t, method, call.GetMethod())
	require.Equal(t, lengthProtocol, call.GetProtocol())
	resp, exception := answer()
	status := wire.RpcStatus_RPC_SUCCESS
	if exception != "" {
		status = wire.RpcStatus_RPC_ERROR
	}
	var out bytes.Buffer
	require.NoError(t, writeDelimited(&out, &wire.RpcResponseHeader{
		CallId: proto.Uint32(uint32(header.GetCallId())), Status: &status, ExceptionClass: &exception, ErrorMessage: &exception,
	}))
	if exception == "" {
		require.NoError(t, writeDelimited(&out, resp))
	}
	_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(out.Len())), out.Bytes()...))
	_, _ = r.ReadByte() // until it closes
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}
