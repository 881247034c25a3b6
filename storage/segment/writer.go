package segment

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/talos-log/talos/talos"
)

// CheckpointBytes is how much is written between two checkpoints; more than
// that, plus what is in flight, never has to be read to take a segment over.
const CheckpointBytes = 4 << 20

// checkpointShare is how many times as large as a checkpoint is what lies between two
// that were not due for their distance in bytes.
const checkpointShare = 8

// Writer is the state of one segment while it is written. It does no I/O:
// whoever owns it appends each frame that it returns to the segment, in order
// and completely. A frame may have a padding frame behind it, which goes with it.
// It is owned by one goroutine.
//
// What it returns is readable by construction, so it panics if its owner breaks
// a rule that would make it unreadable: offsets that don't follow, a frame above
// MaxFrameBytes, a snapshot above MaxProducers.
type Writer struct {
	salt uint64
	// chunk is what every frame but a footer ends on a multiple of; 0: on any byte.
	chunk   int64
	size    int64
	next    talos.Offset
	index   Index
	summary Summary

	// named is the newest checkpoint that is acknowledged, which frames name;
	// pending are those behind it.
	named   int64
	pending []span
	// last is the newest checkpoint written, or the header frame, behind which there are
	// so many frames, and indexed how many entries the index had then.
	last    span
	frames  int
	indexed int
}

// span is where a frame lies.
type span struct{ pos, end int64 }

// NewWriter begins a segment in a store whose Traits have this Chunk. Head is its
// first frame, which the store's Create makes durable. Start.Base and start.Next
// are the base offset that the segment's name states.
func NewWriter(h Header, producers []Producer, start Meta, chunk int64) (w *Writer, head []byte, err error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, nil, fmt.Errorf("segment.NewWriter: drawing a salt: %w", err)
	}
	return newWriter(h, producers, start, chunk, binary.BigEndian.Uint64(salt[:]))
}

func newWriter(h Header, producers []Producer, start Meta, chunk int64, salt uint64) (*Writer, []byte, error) {
	err := h.validate()
	if err == nil {
		err = validateProducers(producers)
	}
	if err == nil && (start.Base != h.Name.Base || start.Next != h.Name.Base) {
		err = fmt.Errorf("segment %s starts at offsets %d, %d", h.Name, start.Base, start.Next)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("segment.NewWriter: %w", err)
	}
	w := &Writer{salt: salt, chunk: chunk, next: start.Next}
	// What follows a header frame was appended, which tells that the segment counted:
	// so the header is filled up itself, and has no padding frame.
	payload := appendFiller(appendHead(w.Buffer(512+producersRoom(producers)), h, producers), chunk)
	head := w.finish(payload, TypeHeader, start)
	w.last.end = w.size
	return w, head, nil
}

// Buffer returns a buffer for a data frame: the caller appends whole batches to
// it, and gives it to Data. If they have no more than payload bytes together,
// they are not copied again. The payload must not exceed
// MaxFrameBytes - FrameOverhead.
func (w *Writer) Buffer(payload int) []byte {
	room := FrameOverhead + payload
	if w.chunk > 0 {
		room += FrameOverhead + int(w.chunk)
	}
	return make([]byte, headerBytes, room)
}

// Data completes in place a data frame whose batches lie in buf and tile
// m.Base to m.Next, and returns it.
func (w *Writer) Data(buf []byte, m Meta) []byte {
	if m.Next <= m.Base {
		unreadable("a data frame from offset %d to %d", m.Base, m.Next)
	}
	w.index = w.index.add(IndexEntry{Offset: m.Base, Pos: w.size, Time: m.Time})
	if w.summary.Frames == 0 {
		w.summary.FirstTime = m.Time
	}
	w.summary.LastTime = m.Time
	w.summary.Frames++
	w.frames++
	w.summary.Bytes += int64(len(buf) - headerBytes)
	return w.finish(buf, TypeData, m)
}

// CheckpointDue tells whether the next frame should be a checkpoint: after so many
// frames at the latest, unless frames is 0, but never while checkpoints would be
// much of what is written.
func (w *Writer) CheckpointDue(frames int) bool {
	since := w.size - w.last.end
	enough := frames > 0 && w.frames >= frames && since >= checkpointShare*(w.last.end-w.last.pos)
	return enough || since >= CheckpointBytes
}

// Checkpoint returns a checkpoint frame. Producers is the state as of m.Next;
// m.Base does not count.
func (w *Writer) Checkpoint(m Meta, producers []Producer) []byte {
	p := Checkpoint{Producers: producers, Index: w.index[w.indexed:], Previous: w.last.pos}
	frame := w.sections(appendCheckpoint(w.room(producers, p.Index), p), TypeCheckpoint, m, producers)
	w.last = span{pos: w.size - int64(len(frame)), end: w.size}
	w.indexed, w.frames = len(w.index), 0
	w.pending = append(w.pending, w.last)
	return frame
}

// Acknowledged tells the writer that all bytes below pos are durable: only a
// checkpoint below it is named by later frames, so that a named one can always
// be read.
func (w *Writer) Acknowledged(pos int64) {
	for len(w.pending) > 0 && w.pending[0].end <= pos {
		w.named = w.pending[0].pos
		w.pending = w.pending[1:]
	}
}

// Footer returns the footer frame, behind which nothing may follow. Producers is
// the state as of m.Next; m.Base does not count.
func (w *Writer) Footer(m Meta, producers []Producer) []byte {
	w.summary.Next = m.Next
	f := Footer{Index: w.index, Producers: producers, Summary: w.summary}
	return w.sections(appendFooter(w.room(producers, w.index), f), TypeFooter, m, producers)
}

// Size is the length of all frames returned so far, and so the position of the
// next one.
func (w *Writer) Size() int64 { return w.size }

// Salt binds frames to this segment; a Query needs it.
func (w *Writer) Salt() uint64 { return w.salt }

// Index returns the index so far. Other goroutines may read it while the writer
// goes on.
func (w *Writer) Index() Index {
	n := len(w.index)
	return w.index[:n:n]
}

func (w *Writer) room(producers []Producer, index Index) []byte {
	return w.Buffer(128 + producersRoom(producers) + len(index)*indexEntryBytes)
}

// sections completes a frame that has no records.
func (w *Writer) sections(buf []byte, frameType uint8, m Meta, producers []Producer) []byte {
	if err := validateProducers(producers); err != nil {
		unreadable("%v", err)
	}
	m.Base = m.Next
	return w.finish(buf, frameType, m)
}

func (w *Writer) finish(buf []byte, frameType uint8, m Meta) []byte {
	if m.Base != w.next {
		unreadable("a frame begins at offset %d, the one before ends at %d", m.Base, w.next)
	}
	if len(buf) > MaxFrameBytes-trailerBytes {
		unreadable("a frame of %d bytes, the limit is %d", len(buf)+trailerBytes, MaxFrameBytes)
	}
	h := frameHeader{
		frameType: frameType, version: frameVersion, payload: uint32(len(buf) - headerBytes),
		salt: w.salt, pos: w.size, Meta: m, checkpoint: w.named,
	}
	// A segment can be read without its checkpoints and footer, not without these.
	if frameType == TypeHeader || frameType == TypeData {
		h.flags = mustUnderstandFrame
	}
	buf = h.complete(buf)
	w.size += int64(len(buf))
	w.next = m.Next
	if frameType != TypeFooter {
		buf = w.pad(buf, m)
	}
	return buf
}

// pad fills the rest of the chunk in which the frame in buf ends.
func (w *Writer) pad(buf []byte, m Meta) []byte {
	if w.chunk <= 0 || w.size%w.chunk == 0 {
		return buf
	}
	gap := w.chunk - w.size%w.chunk
	for gap < FrameOverhead {
		gap += w.chunk
	}
	m.Base = m.Next
	h := frameHeader{
		frameType: TypePadding, version: frameVersion, payload: uint32(gap - FrameOverhead),
		salt: w.salt, pos: w.size, Meta: m, checkpoint: w.named,
	}
	end := len(buf)
	buf = slices.Grow(buf, int(gap))
	padding := buf[end : end+int(gap)-trailerBytes]
	clear(padding)
	w.size += gap
	return buf[:end+len(h.complete(padding))]
}

// unreadable stops a writer before it writes, and its owner acknowledges, what no
// reader would take.
func unreadable(format string, args ...any) {
	panic("segment: " + fmt.Sprintf(format, args...)) //nolint:forbidigo // a broken rule of our own, never data
}
