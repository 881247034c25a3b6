package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// Reads begin small, since many end soon, and double up to a limit.
const (
	firstReadBytes = 64 << 10
	maxReadBytes   = 1 << 20
	// aloneBytes is how much is read at first of a frame behind which nothing is wanted.
	aloneBytes = 4 << 10
)

// unknownOffset means that any base offset may come next.
const unknownOffset talos.Offset = -1

// frames reads and verifies frames one behind the other. It is owned by one
// goroutine, and its memory is bounded by MaxFrameBytes + maxReadBytes.
type frames struct {
	src  Source
	salt uint64
	// pos is where the next frame begins, end where the bytes end.
	pos, end int64
	// next is the base offset of the next frame, or unknownOffset.
	next talos.Offset

	// buf holds the bytes from bufPos on that were read already.
	buf    []byte
	bufPos int64
	chunk  int64

	// views is src if it has bytes in memory, and view what it gave of them, from viewPos
	// on. viewed tells that the frame that was read last lies there.
	views   viewer
	view    []byte
	viewPos int64
	viewed  bool
}

func newFrames(src Source, salt uint64, pos, end int64, next talos.Offset) *frames {
	r := &frames{src: src, salt: salt, pos: pos, end: end, next: next, bufPos: pos, chunk: firstReadBytes}
	r.views, _ = src.(viewer)
	return r
}

// spare are buffers of reads that have ended.
var spare sync.Pool

// takeBuffer returns an empty buffer, which may have room.
func takeBuffer() []byte {
	if b, ok := spare.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

// giveBuffer takes a buffer back of which nothing is used any more.
func giveBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= 2*maxReadBytes {
		spare.Put(&b)
	}
}

// read returns the next frame, or io.EOF exactly at the end, or *damage. The
// payload is valid until the next call.
func (r *frames) read(ctx context.Context) (Frame, error) {
	rest := r.end - r.pos
	if rest <= 0 {
		return Frame{}, io.EOF
	}
	if rest < headerBytes {
		return Frame{}, &damage{cutHeader, r.pos, fmt.Sprintf("the segment ends with %d bytes of a frame's header", rest)}
	}
	b, err := r.bytes(ctx, headerBytes)
	if err != nil {
		return Frame{}, err
	}
	h, ok := frameHeaderAt(b, r.pos, r.salt)
	if !ok {
		return Frame{}, &damage{badHeader, r.pos, "no intact frame begins here"}
	}
	if err := h.checkSize(); err != nil {
		return Frame{}, err
	}
	if h.size() > rest {
		return Frame{}, &damage{cutFrame, r.pos, fmt.Sprintf("a frame of %d bytes begins here, %d are there", h.size(), rest)}
	}
	if b, err = r.bytes(ctx, h.size()); err != nil {
		return Frame{}, err
	}
	if !frameOK(b) {
		return Frame{}, &damage{badFrame, r.pos, fmt.Sprintf("the checksum of a frame of %d bytes does not match", h.size())}
	}
	f := h.frame(b)
	if err := r.follow(h, f); err != nil {
		return Frame{}, err
	}
	r.pos, r.next = h.end(), h.Next
	return f, nil
}

// follow checks a verified frame against what this version knows, and against
// the frame before.
func (r *frames) follow(h frameHeader, f Frame) error {
	if err := h.checkKnown(); err != nil {
		return err
	}
	if r.next != unknownOffset && h.Base != r.next {
		return wrongAt(h.pos, "the frame begins at offset %d, the one before ends at %d", h.Base, r.next)
	}
	if h.frameType == TypeData {
		return checkBatches(f)
	}
	if h.Base != h.Next {
		return wrongAt(h.pos, "a frame of type %d can't hold the offsets %d to %d", h.frameType, h.Base, h.Next)
	}
	return nil
}

func (h frameHeader) checkSize() error {
	if h.size() > MaxFrameBytes {
		return wrongAt(h.pos, "a frame of %d bytes, the limit is %d", h.size(), MaxFrameBytes)
	}
	return nil
}

// checkKnown refuses what this version must understand and does not.
func (h frameHeader) checkKnown() error {
	known := h.frameType >= TypeHeader && h.frameType <= TypePadding
	switch {
	case !known && h.flags&mustUnderstandFrame != 0:
		return newerAt(h.pos, "frame type %d must be understood and is not known", h.frameType)
	case known && h.version != frameVersion:
		return newerAt(h.pos, "version %d of frame type %d is not known", h.version, h.frameType)
	case (h.frameType == TypeHeader) != (h.pos == 0):
		return wrongAt(h.pos, "a frame of type %d can't be here", h.frameType)
	case h.Base < 0 || h.Next < h.Base:
		return wrongAt(h.pos, "the frame goes from offset %d to %d", h.Base, h.Next)
	default:
		return nil
	}
}

// checkBatches checks that a data frame's batches tile its offsets.
func checkBatches(f Frame) error {
	next := f.Base
	for b, err := range batch.All(f.Payload) {
		if err != nil {
			return wrongAt(f.Pos, "the batch at offset %d can't be read: %v", next, err)
		}
		if b.Base != next || b.LastDelta < 0 {
			return wrongAt(f.Pos, "a batch from offset %d to %d, offset %d should come next", b.Base, b.Next(), next)
		}
		next = b.Next()
	}
	if next != f.Next || next == f.Base {
		return wrongAt(f.Pos, "the batches of the frame go from offset %d to %d, not to %d", f.Base, next, f.Next)
	}
	return nil
}

// bytes returns n bytes from r.pos on, which the segment must have.
func (r *frames) bytes(ctx context.Context, n int64) ([]byte, error) {
	have := r.bufPos + int64(len(r.buf)) - r.pos
	r.viewed = false
	if have < n && r.views != nil {
		at := r.pos - r.viewPos
		if at+n > int64(len(r.view)) {
			b, err := r.views.View(ctx, r.pos, n)
			if err != nil {
				return nil, &sourceError{pos: r.pos, err: err}
			}
			r.view, r.viewPos, at = b, r.pos, 0
		}
		if r.view != nil {
			r.viewed = true
			return r.view[at : at+n : at+n], nil
		}
	}
	if have < n {
		// Behind a frame that was viewed, nothing of the buffer is of use.
		if err := r.fill(ctx, max(0, have), n); err != nil {
			return nil, err
		}
	}
	at := r.pos - r.bufPos
	return r.buf[at : at+n : at+n], nil
}

// fill reads on until n bytes from r.pos on are there, of which have are there
// already, and some more.
func (r *frames) fill(ctx context.Context, have, n int64) error {
	want := n
	if r.views == nil {
		want = min(max(n, have+r.chunk), r.end-r.pos)
		r.chunk = min(2*r.chunk, maxReadBytes)
	}
	tail := r.buf[int64(len(r.buf))-have:]
	if int64(cap(r.buf)) < want {
		r.buf = append(make([]byte, 0, want), tail...)
	} else {
		r.buf = r.buf[:copy(r.buf[:have], tail)]
	}
	r.bufPos = r.pos
	r.buf = r.buf[:want]
	got, err := readAt(ctx, r.src, r.buf[have:], r.pos+have)
	r.buf = r.buf[:have+int64(got)]
	if err != nil {
		return err
	}
	if int64(len(r.buf)) < want {
		return wrongAt(r.pos, "the segment ends at byte %d, it should have at least %d", r.pos+int64(len(r.buf)), r.end)
	}
	return nil
}

// readAt fills p unless the segment ends before.
func readAt(ctx context.Context, src Source, p []byte, off int64) (int, error) {
	n, err := src.ReadAt(ctx, p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, &sourceError{pos: off, err: err}
	}
	return n, nil
}
