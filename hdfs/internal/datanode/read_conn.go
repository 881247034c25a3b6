package datanode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// readBuffer is the size of a connection's buffer. Large data goes past it.
	readBuffer = 16 << 10
	// maxChunk bounds what one checksum may cover, in bytes, and maxSums the
	// checksums of one packet.
	maxChunk = 1 << 20
	maxSums  = 1 << 20
	// maxReadPacket bounds a packet, in bytes; Hadoop's own limit.
	maxReadPacket = 16 << 20
)

// readConn is a connection to a DataNode that reads ranges of blocks, one after
// the other:
//
//	operation ─▶
//	          ◀─ answer: type and size of the checksums, where the data begins
//	          ◀─ packets, from the edge of a chunk to the edge of a chunk
//	          ◀─ an empty last packet
//	status    ─▶ and the next operation
type readConn struct {
	conn   net.Conn
	r      *bufio.Reader
	config ReadConfig
	// patience is how long a read of conn may take.
	patience time.Duration
	// used is set on one that has served a read before; answered once the current
	// one had any answer.
	used, answered bool
	idleSince      time.Time

	header wire.PacketHeader
	raw    []byte // scratch for headers
	sums   []byte // of the packet at hand
	edge   []byte // a chunk of which only a part is wanted
}

func newReadConn(conn net.Conn, c ReadConfig) *readConn {
	rc := &readConn{conn: conn, config: c}
	rc.r = bufio.NewReaderSize(patient{rc}, readBuffer)
	return rc
}

func (c *readConn) close() error { return c.conn.Close() }

// patient bounds the time without a byte.
type patient struct{ c *readConn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.c.conn.SetReadDeadline(time.Now().Add(p.c.patience)); err != nil {
		return 0, err
	}
	return p.c.conn.Read(b)
}

// unanswered tells whether a failure was the connection's end, before any answer.
func (c *readConn) unanswered(err error) bool {
	var network net.Error
	late := errors.As(err, &network) && network.Timeout()
	return !c.answered && !late
}

// read fills p with what op asks for. again says that the connection can be used
// for another one.
func (c *readConn) read(op *wire.OpReadBlock, p []byte) (again bool, err error) {
	c.answered, c.patience = false, c.config.AnswerTimeout
	answer, err := c.ask(op)
	if err != nil {
		return false, err
	}
	c.patience = c.config.StallTimeout
	one, err := newReading(answer.GetReadChecksumInfo(), p, int64(op.GetOffset()))
	if err != nil {
		return false, err
	}
	for one.at < one.end {
		n, last, err := c.next(one)
		if err != nil {
			return false, err
		}
		if err := c.data(one, n); err != nil {
			return false, closedEarly(err)
		}
		if last && one.at < one.end {
			return false, fmt.Errorf("%w: at %d instead of %d", errShort, one.at, one.end)
		}
		if last {
			return false, nil // unusual, and not worth to be understood
		}
	}
	return c.finish(one), nil
}

func (c *readConn) ask(op *wire.OpReadBlock) (*wire.BlockOpResponse, error) {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.config.AnswerTimeout)); err != nil {
		return nil, err
	}
	b, err := appendOperation(nil, opReadBlock, op)
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(b); err != nil {
		return nil, err
	}
	if _, err := c.r.Peek(1); err != nil {
		return nil, fmt.Errorf("read its answer: %w", closedEarly(err))
	}
	c.answered = true
	return readResponse(c.r)
}

// finish takes the last packet and tells that all is well. What is wrong here
// costs the connection, not the read.
func (c *readConn) finish(one *reading) (again bool) {
	n, last, err := c.next(one)
	if err != nil || n != 0 || !last {
		return false
	}
	b, err := proto.Marshal(&wire.ReadStatus{Status: wire.Status_CHECKSUM_OK.Enum()})
	if err != nil {
		return false
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.config.StallTimeout)); err != nil {
		return false
	}
	_, err = c.conn.Write(append([]byte{byte(len(b))}, b...))
	c.used = true
	return err == nil
}

// next reads a packet's header and its checksums, and checks that it follows. n is
// the length of its data.
func (c *readConn) next(one *reading) (n int, last bool, err error) {
	var lengths [6]byte
	if _, err := io.ReadFull(c.r, lengths[:]); err != nil {
		return 0, false, closedEarly(err)
	}
	size := int64(binary.BigEndian.Uint32(lengths[:]))
	c.raw = sized(c.raw, int(binary.BigEndian.Uint16(lengths[4:])))
	if _, err := io.ReadFull(c.r, c.raw); err != nil {
		return 0, false, closedEarly(err)
	}
	if err := proto.Unmarshal(c.raw, &c.header); err != nil {
		return 0, false, fmt.Errorf("%w: packet header: %w", ErrProtocol, err)
	}
	h := &c.header
	length := int64(h.GetDataLen())
	if length < 0 || length > maxReadPacket {
		return 0, false, fmt.Errorf("%w: a packet of %d bytes, at most %d are taken", ErrProtocol, length, maxReadPacket)
	}
	sums := (length + one.chunk - 1) / one.chunk * sumBytes
	if size != 4+sums+length || sums > maxSums || h.GetOffsetInBlock() != one.at {
		return 0, false, fmt.Errorf("%w: a packet at %d with %d bytes and %d in all, where one at %d was due",
			ErrProtocol, h.GetOffsetInBlock(), length, size, one.at)
	}
	if length > 0 && one.at%one.chunk != 0 {
		return 0, false, fmt.Errorf("%w: the packet at %d does not begin with a chunk", ErrProtocol, one.at)
	}
	c.sums = sized(c.sums, int(sums))
	if _, err := io.ReadFull(c.r, c.sums); err != nil {
		return 0, false, closedEarly(err)
	}
	return int(length), h.GetLastPacketInBlock(), nil
}

// data reads a packet's data chunk by chunk: those that lie within what is wanted
// in place, those at its edges by way of a buffer.
func (c *readConn) data(one *reading, n int) error {
	sums := c.sums
	for n > 0 {
		size := min(n, int(one.chunk))
		switch from, to := one.within(size); {
		case from == to:
			if _, err := c.r.Discard(size); err != nil {
				return err
			}
		case to-from == size:
			size = one.whole(n)
			place := one.place(size)
			if _, err := io.ReadFull(c.r, place); err != nil {
				return err
			}
			if err := one.verify(place, sums); err != nil {
				return err
			}
		default:
			c.edge = sized(c.edge, size)
			if _, err := io.ReadFull(c.r, c.edge); err != nil {
				return err
			}
			if err := one.verify(c.edge, sums); err != nil {
				return err
			}
			copy(one.p[one.at+int64(from)-one.off:], c.edge[from:to])
		}
		sums = sums[(size+int(one.chunk)-1)/int(one.chunk)*sumBytes:]
		n -= size
		one.at += int64(size)
	}
	return nil
}

// reading is a range on its way.
type reading struct {
	p        []byte
	off, end int64 // p's place in the block
	at       int64 // where the next byte on the connection belongs
	chunk    int64
	table    *crc32.Table
}

func newReading(info *wire.ReadChecksumInfo, p []byte, off int64) (*reading, error) {
	one := &reading{
		p: p, off: off, end: off + int64(len(p)),
		at: int64(info.GetChunkOffset()), chunk: int64(info.GetChecksum().GetBytesPerChecksum()),
	}
	switch kind := info.GetChecksum().GetType(); kind {
	case wire.ChecksumType_CHECKSUM_CRC32C:
		one.table = castagnoli
	case wire.ChecksumType_CHECKSUM_CRC32:
		one.table = crc32.IEEETable
	default:
		// A DataNode that has lost a replica's checksums would send it without.
		return nil, fmt.Errorf("its replica has checksums of type %v, which can't be verified", kind)
	}
	if one.chunk < 1 || one.chunk > maxChunk {
		return nil, fmt.Errorf("%w: chunks of %d bytes, at most %d are taken", ErrProtocol, one.chunk, maxChunk)
	}
	if one.at != off-off%one.chunk {
		return nil, fmt.Errorf("%w: the data begins at %d instead of the chunk of %d", ErrProtocol, one.at, off)
	}
	return one, nil
}

// within tells which bytes of the next size are wanted.
func (one *reading) within(size int) (from, to int) {
	from = int(min(max(one.off-one.at, 0), int64(size)))
	to = int(min(max(one.end-one.at, 0), int64(size)))
	return from, max(from, to)
}

// whole tells how many of the next n bytes are wanted in whole chunks; the last
// chunk of the data may be a partial one.
func (one *reading) whole(n int) int {
	if wanted := int(min(one.end-one.at, int64(n))); wanted < n {
		return wanted - wanted%int(one.chunk)
	}
	return n
}

// place is where the next size bytes go.
func (one *reading) place(size int) []byte {
	return one.p[one.at-one.off:][:size]
}

// verify checks chunks that begin at one.at.
func (one *reading) verify(chunks, sums []byte) error {
	for i := 0; len(chunks) > 0; i++ {
		n := min(len(chunks), int(one.chunk))
		if crc32.Checksum(chunks[:n], one.table) != binary.BigEndian.Uint32(sums[i*sumBytes:]) {
			return fmt.Errorf("%w in the chunk at %d", errChecksum, one.at+int64(i)*one.chunk)
		}
		chunks = chunks[n:]
	}
	return nil
}

// sized returns a slice of n bytes, b's if that is large enough.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// closedEarly says that an end was not one.
func closedEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
