package datanode

import (
	"encoding/binary"
	"hash/crc32"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// chunkBytes are covered by one checksum.
	chunkBytes = 512
	sumBytes   = 4
	// maxPacketData is the most data in a packet that is written, in bytes. Larger
	// ones are slower.
	maxPacketData = 64 << 10
	// heartbeatSeqno marks a packet that only shows that the writer lives.
	heartbeatSeqno = -1
	// maxPrefix is the most that comes before a packet's own data, in bytes.
	maxPrefix = 4 + 2 + maxPacketHeader + maxPacketData/chunkBytes*sumBytes + chunkBytes
	// maxPacketHeader is the size of the header with all fields.
	maxPacketHeader = 9 + 9 + 2 + 5 + 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packet is one packet to write:
//
//	u32 length   of itself, the checksums and the data
//	u16 length   of the header
//	header       protobuf PacketHeader
//	checksums    CRC32C of each 512 bytes of the data, the last may be partial
//	data
//
// The data may begin with the partial chunk that the packet before it ended with.
type packet struct {
	seqno int64 // heartbeatSeqno for a heartbeat
	// prefix is all but data. It begins on a chunk's edge where data doesn't.
	prefix []byte
	// data is the caller's.
	data []byte
}

func (p *packet) size() int64 { return int64(len(p.prefix) + len(p.data)) }

var packets sync.Pool

func newPacket() *packet {
	if p, ok := packets.Get().(*packet); ok {
		return p
	}
	return &packet{prefix: make([]byte, 0, maxPrefix)}
}

func (p *packet) recycle() {
	p.data = nil
	packets.Put(p)
}

// packetHeader are the fields of a PacketHeader.
type packetHeader struct {
	offset int64 // of the first byte, in the block
	seqno  int64
	last   bool // of the block
	length int
	sync   bool
}

// begin writes the lengths and the header.
func (p *packet) begin(h packetHeader) {
	sums := (h.length + chunkBytes - 1) / chunkBytes * sumBytes
	size := maxPacketHeader
	if !h.sync {
		size -= 2
	}
	b := p.prefix[:0]
	b = binary.BigEndian.AppendUint32(b, uint32(4+sums+h.length))
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = protowire.AppendTag(b, 1, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, uint64(h.offset))
	b = protowire.AppendTag(b, 2, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, uint64(h.seqno))
	b = protowire.AppendTag(b, 3, protowire.VarintType)
	b = protowire.AppendVarint(b, protowire.EncodeBool(h.last))
	b = protowire.AppendTag(b, 4, protowire.Fixed32Type)
	b = protowire.AppendFixed32(b, uint32(h.length))
	if h.sync {
		b = protowire.AppendTag(b, 5, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	p.seqno, p.prefix = h.seqno, b
}

// sum adds the checksums of the data, which begins with kept.
func (p *packet) sum(kept, data []byte) {
	rest := data
	if len(kept) > 0 {
		first := min(chunkBytes-len(kept), len(rest))
		crc := crc32.Update(crc32.Update(0, castagnoli, kept), castagnoli, rest[:first])
		p.prefix = binary.BigEndian.AppendUint32(p.prefix, crc)
		rest = rest[first:]
	}
	for len(rest) > 0 {
		n := min(chunkBytes, len(rest))
		p.prefix = binary.BigEndian.AppendUint32(p.prefix, crc32.Update(0, castagnoli, rest[:n]))
		rest = rest[n:]
	}
}

// heartbeat keeps a connection open.
func heartbeat() *packet {
	p := &packet{}
	p.begin(packetHeader{seqno: heartbeatSeqno})
	return p
}

// cutter cuts what is appended to a block into packets. Only the caller of Append
// uses it.
type cutter struct {
	offset int64 // the block's length so far
	seqno  int64 // of the next packet
	// kept is how much of the last chunk is there, if it is partial, and tail what.
	kept int
	tail [chunkBytes]byte
}

// count tells how many packets n bytes make.
func (c *cutter) count(n int) int64 {
	return int64(max(1, (c.kept+n+maxPacketData-1)/maxPacketData))
}

// next makes a packet of the first bytes of b, and returns those that are left.
// Without bytes the packet is empty.
func (c *cutter) next(b []byte, sync bool) (p *packet, rest []byte) {
	if len(b) == 0 {
		return c.empty(sync, false), nil
	}
	n := min(len(b), maxPacketData-c.kept)
	data, rest := b[:n], b[n:]
	p = newPacket()
	p.begin(packetHeader{
		offset: c.offset - int64(c.kept), seqno: c.seqno, length: c.kept + n, sync: sync && len(rest) == 0,
	})
	p.sum(c.tail[:c.kept], data)
	p.prefix = append(p.prefix, c.tail[:c.kept]...)
	p.data = data

	c.seqno++
	c.offset += int64(n)
	if kept := (c.kept + n) % chunkBytes; kept > n {
		copy(c.tail[c.kept:], data)
		c.kept = kept
	} else {
		c.kept = copy(c.tail[:], data[n-kept:])
	}
	return p, rest
}

func (c *cutter) empty(sync, last bool) *packet {
	p := newPacket()
	p.begin(packetHeader{offset: c.offset, seqno: c.seqno, last: last, sync: sync})
	c.seqno++
	return p
}
