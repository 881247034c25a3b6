package datanode

import (
	"encoding/binary"
	"hash/crc32"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// ChunkBytes are covered by one checksum, and stored together with it.
	ChunkBytes = 512
	sumBytes   = 4
	// maxPacketData is the most data in a packet that is written, in bytes. Larger
	// ones are slower.
	maxPacketData = 64 << 10
	// heartbeatSeqno marks a packet that only shows that the writer lives.
	heartbeatSeqno = -1
	// maxPrefix is the most that comes before a packet's own data, in bytes.
	maxPrefix = 4 + 2 + maxPacketHeader + maxPacketData/ChunkBytes*sumBytes + ChunkBytes
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
	// data is the callers', piece by piece, length bytes in all.
	data   [][]byte
	length int
}

func (p *packet) size() int64 { return int64(len(p.prefix) + p.length) }

// appendTo appends the packet's bytes to b.
func (p *packet) appendTo(b []byte) []byte {
	b = append(b, p.prefix...)
	for _, piece := range p.data {
		b = append(b, piece...)
	}
	return b
}

var packets sync.Pool

func newPacket() *packet {
	if p, ok := packets.Get().(*packet); ok {
		return p
	}
	return &packet{prefix: make([]byte, 0, maxPrefix)}
}

func (p *packet) recycle() {
	clear(p.data)
	p.data, p.length = p.data[:0], 0
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
	sums := (h.length + ChunkBytes - 1) / ChunkBytes * sumBytes
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
func (p *packet) sum(kept []byte) {
	crc, n := crc32.Update(0, castagnoli, kept), len(kept)
	for _, rest := range p.data {
		for len(rest) > 0 {
			m := min(ChunkBytes-n, len(rest))
			crc, n = crc32.Update(crc, castagnoli, rest[:m]), n+m
			rest = rest[m:]
			if n == ChunkBytes {
				p.prefix = binary.BigEndian.AppendUint32(p.prefix, crc)
				crc, n = 0, 0
			}
		}
	}
	if n > 0 {
		p.prefix = binary.BigEndian.AppendUint32(p.prefix, crc)
	}
}

// heartbeat keeps a connection open.
func heartbeat() *packet {
	p := &packet{}
	p.begin(packetHeader{seqno: heartbeatSeqno})
	return p
}

// cutter cuts what is appended to a block into packets.
type cutter struct {
	offset int64 // the block's length so far
	seqno  int64 // of the next packet
	// kept is how much of the last chunk is there, if it is partial, and tail what.
	kept int
	tail [ChunkBytes]byte
}

// next makes a packet of the first bytes of pieces, and takes them off. Without
// bytes the packet is empty. With sync, the one that takes the last of them asks
// for it.
func (c *cutter) next(pieces *[][]byte, sync bool) *packet {
	p := newPacket()
	for room := maxPacketData - c.kept; len(*pieces) > 0 && room > 0; {
		first := (*pieces)[0]
		n := min(len(first), room)
		if n > 0 {
			p.data = append(p.data, first[:n])
		}
		p.length += n
		room -= n
		if (*pieces)[0] = first[n:]; n == len(first) {
			*pieces = (*pieces)[1:]
		}
	}
	sync = sync && len(*pieces) == 0
	if p.length == 0 {
		p.begin(packetHeader{offset: c.offset, seqno: c.seqno, sync: sync})
		c.seqno++
		return p
	}
	p.begin(packetHeader{offset: c.offset - int64(c.kept), seqno: c.seqno, length: c.kept + p.length, sync: sync})
	p.sum(c.tail[:c.kept])
	p.prefix = append(p.prefix, c.tail[:c.kept]...)
	c.seqno++
	c.offset += int64(p.length)
	c.keep(p)
	return p
}

// keep remembers the partial chunk at the end of a packet.
func (c *cutter) keep(p *packet) {
	kept := (c.kept + p.length) % ChunkBytes
	if kept > p.length { // still the same chunk
		for _, piece := range p.data {
			c.kept += copy(c.tail[c.kept:], piece)
		}
		return
	}
	c.kept = kept
	for i := len(p.data) - 1; kept > 0; i-- {
		piece := p.data[i]
		n := min(kept, len(piece))
		kept -= copy(c.tail[kept-n:kept], piece[len(piece)-n:])
	}
}

// empty is a packet without data.
func (c *cutter) empty(last bool) *packet {
	p := newPacket()
	p.begin(packetHeader{offset: c.offset, seqno: c.seqno, last: last})
	c.seqno++
	return p
}
