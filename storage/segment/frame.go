package segment

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/talos-log/talos/talos"
)

const (
	// MaxFrameBytes is the largest frame, whole. Readers refuse a larger one before
	// they make room for it.
	MaxFrameBytes = 8 << 20
	// FrameOverhead is what a frame has beside its payload, in bytes.
	FrameOverhead = headerBytes + trailerBytes
)

const (
	frameMagic   = 0x544c5331 // "TLS1"
	frameVersion = 1
	headerBytes  = 72
	headerCRCAt  = 68
	trailerBytes = 8
)

// The types of frames.
const (
	TypeHeader     uint8 = 1
	TypeData       uint8 = 2
	TypeCheckpoint uint8 = 3
	TypeFooter     uint8 = 4
	TypePadding    uint8 = 5
)

// mustUnderstandFrame is the flag by which a reader that does not know a
// frame's type must refuse the segment instead of skipping the frame.
const mustUnderstandFrame uint16 = 1

// castagnoli is the table of CRC-32C; it is never written.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frame is one whole, verified frame.
type Frame struct {
	// Type is one of the types above, or one that this version may skip.
	Type, Version uint8
	// Pos is where it begins in the segment, Size how long it is as a whole.
	Pos, Size int64
	Meta
	// Checkpoint is the position of the newest checkpoint frame that was
	// acknowledged when this one was written; 0 means none.
	Checkpoint int64
	// Payload is valid only until the next frame is read.
	Payload []byte
}

// frameHeader is the fixed part before the payload.
type frameHeader struct {
	frameType, version uint8
	flags              uint16
	payload            uint32
	salt               uint64
	pos                int64
	Meta
	checkpoint int64
}

// size is the length of the whole frame.
func (h frameHeader) size() int64 { return FrameOverhead + int64(h.payload) }

// end is the position behind the frame.
func (h frameHeader) end() int64 { return h.pos + h.size() }

// complete writes the header into the room that buf has for it before the
// payload, and the trailer behind the payload.
func (h frameHeader) complete(buf []byte) []byte {
	be := binary.BigEndian
	be.PutUint32(buf[0:], frameMagic)
	buf[4] = h.frameType
	buf[5] = h.version
	be.PutUint16(buf[6:], h.flags)
	be.PutUint32(buf[8:], h.payload)
	be.PutUint64(buf[12:], h.salt)
	be.PutUint64(buf[20:], uint64(h.pos))
	be.PutUint64(buf[28:], uint64(h.Acked))
	be.PutUint64(buf[36:], uint64(h.Time))
	be.PutUint64(buf[44:], uint64(h.checkpoint))
	be.PutUint64(buf[52:], uint64(h.Base))
	be.PutUint64(buf[60:], uint64(h.Next))
	be.PutUint32(buf[headerCRCAt:], crc32.Checksum(buf[:headerCRCAt], castagnoli))
	buf = be.AppendUint32(buf, uint32(len(buf)+trailerBytes))
	return be.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
}

// parseFrameHeader reads a header from the start of b, at least headerBytes
// long; false if it is not intact.
func parseFrameHeader(b []byte) (frameHeader, bool) {
	be := binary.BigEndian
	if be.Uint32(b) != frameMagic || be.Uint32(b[headerCRCAt:]) != crc32.Checksum(b[:headerCRCAt], castagnoli) {
		return frameHeader{}, false
	}
	return frameHeader{
		frameType: b[4], version: b[5], flags: be.Uint16(b[6:]),
		payload: be.Uint32(b[8:]), salt: be.Uint64(b[12:]), pos: int64(be.Uint64(b[20:])),
		Meta: Meta{
			Acked: talos.Offset(be.Uint64(b[28:])), Time: int64(be.Uint64(b[36:])),
			Base: talos.Offset(be.Uint64(b[52:])), Next: talos.Offset(be.Uint64(b[60:])),
		},
		checkpoint: int64(be.Uint64(b[44:])),
	}, true
}

// frameHeaderAt reads the header of the frame that begins at pos of the segment
// with this salt; false if b does not begin with exactly that.
func frameHeaderAt(b []byte, pos int64, salt uint64) (frameHeader, bool) {
	// The cheap comparison comes first: records may be full of magics.
	if binary.BigEndian.Uint64(b[12:]) != salt || int64(binary.BigEndian.Uint64(b[20:])) != pos {
		return frameHeader{}, false
	}
	return parseFrameHeader(b)
}

// frameOK checks the trailer of a whole frame.
func frameOK(b []byte) bool {
	be := binary.BigEndian
	body := b[:len(b)-4]
	return be.Uint32(b[len(b)-trailerBytes:]) == uint32(len(b)) &&
		be.Uint32(b[len(b)-4:]) == crc32.Checksum(body, castagnoli)
}

func (h frameHeader) frame(b []byte) Frame {
	return Frame{
		Type: h.frameType, Version: h.version, Pos: h.pos, Size: h.size(), Meta: h.Meta,
		Checkpoint: h.checkpoint, Payload: b[headerBytes : len(b)-trailerBytes],
	}
}
