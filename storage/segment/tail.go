package segment

import (
	"bytes"
	"context"
	"encoding/binary"
)

// searchBytes is how much a search for the last frame reads at once.
const searchBytes = 256 << 10

var frameMagicBytes = binary.BigEndian.AppendUint32(nil, frameMagic)

// lastFrame finds the last intact frame header of a segment of this size, in the
// only region where it can lie: behind what may be torn, one whole frame. The
// frame itself may be torn. It returns false if there is none.
//
// The last header tells all that the segment says about its own end, since what
// a header states never goes back: how far records were acknowledged, and where
// the newest acknowledged checkpoint lies.
func lastFrame(ctx context.Context, src Source, o Opened, size int64) (frameHeader, bool, error) {
	h, ok, err := frameByTrailer(ctx, src, o, size)
	if ok || err != nil {
		return h, ok, err
	}
	low := o.HeadSize
	if o.Window < size-MaxFrameBytes {
		low = max(low, size-MaxFrameBytes-o.Window)
	}
	buf := make([]byte, min(searchBytes+headerBytes, max(size-low, 0)))
	for end := size; end > low; {
		start := max(low, end-searchBytes)
		// A header that begins before end may go on behind it.
		b := buf[:min(end+headerBytes-1, size)-start]
		n, err := readAt(ctx, src, b, start)
		if err != nil {
			return frameHeader{}, false, err
		}
		if h, ok := lastHeaderIn(b[:n], start, o.Salt); ok {
			return h, true, nil
		}
		end = start
	}
	return frameHeader{}, false, nil
}

// frameByTrailer finds the frame that ends exactly with the segment.
func frameByTrailer(ctx context.Context, src Source, o Opened, size int64) (frameHeader, bool, error) {
	if size < o.HeadSize+FrameOverhead {
		return frameHeader{}, false, nil
	}
	b := make([]byte, headerBytes)
	n, err := readAt(ctx, src, b[:trailerBytes], size-trailerBytes)
	if err != nil || n < trailerBytes {
		return frameHeader{}, false, err
	}
	length := int64(binary.BigEndian.Uint32(b))
	if length < FrameOverhead || length > min(MaxFrameBytes, size-o.HeadSize) {
		return frameHeader{}, false, nil
	}
	if n, err = readAt(ctx, src, b, size-length); err != nil || n < headerBytes {
		return frameHeader{}, false, err
	}
	h, ok := frameHeaderAt(b, size-length, o.Salt)
	return h, ok && h.end() == size, nil
}

// lastHeaderIn finds the last intact frame header in b, which lies at pos.
func lastHeaderIn(b []byte, pos int64, salt uint64) (frameHeader, bool) {
	// Two matches never overlap, since the magic's bytes differ.
	for n := bytes.LastIndex(b, frameMagicBytes); n >= 0; n = bytes.LastIndex(b[:n], frameMagicBytes) {
		if len(b)-n < headerBytes {
			continue
		}
		if h, ok := frameHeaderAt(b[n:], pos+int64(n), salt); ok {
			return h, true
		}
	}
	return frameHeader{}, false
}
