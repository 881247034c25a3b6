package segment

import (
	"context"
	"fmt"
)

// Opened is what a segment's header frame says.
type Opened struct {
	Header
	// Salt binds frames to this segment.
	Salt uint64
	// HeadSize is where the header frame ends.
	HeadSize int64
	// Time is the append time in milliseconds up to which the partition had come
	// when the segment began: no record before it is newer, none in it older.
	Time int64
}

// ReadHeader reads the segment's header frame: its identity, and the producers as
// of its base offset. The id is for messages. It fails with CorruptSegment if the
// frame is not whole and intact, with NewerFormat if a newer version wrote it.
func ReadHeader(ctx context.Context, src Source, id string) (Opened, []Producer, error) {
	o, producers, _, err := open(ctx, src)
	return o, producers, failure("segment.ReadHeader", id, err)
}

func open(ctx context.Context, src Source) (Opened, []Producer, frameHeader, error) {
	h, b, err := headerFrame(ctx, src)
	if err != nil {
		return Opened{}, nil, frameHeader{}, err
	}
	header, producers, err := parseHead(b[headerBytes : len(b)-trailerBytes])
	if err != nil {
		return Opened{}, nil, frameHeader{}, unreadableAt(0, "the segment's header", err)
	}
	if h.Base != header.Name.Base || h.Next != header.Name.Base {
		return Opened{}, nil, frameHeader{}, wrongAt(0, "the header frame goes from offset %d to %d, but the segment is named %s",
			h.Base, h.Next, header.Name)
	}
	return Opened{Header: header, Salt: h.salt, HeadSize: h.size(), Time: h.Time}, producers, h, nil
}

// headerFrame reads and verifies the first frame, whose salt is not known yet.
func headerFrame(ctx context.Context, src Source) (frameHeader, []byte, error) {
	b, err := readGrowing(ctx, src, headerBytes)
	if err != nil {
		return frameHeader{}, nil, err
	}
	if len(b) < headerBytes {
		return frameHeader{}, nil, &damage{cutHeader, 0, fmt.Sprintf("the segment has %d bytes, too few for its header", len(b))}
	}
	h, ok := parseFrameHeader(b)
	if !ok || h.pos != 0 {
		return frameHeader{}, nil, &damage{badHeader, 0, "no intact header frame begins here"}
	}
	if err := h.checkSize(); err != nil {
		return frameHeader{}, nil, err
	}
	if b, err = readGrowing(ctx, src, h.size()); err != nil {
		return frameHeader{}, nil, err
	}
	if int64(len(b)) < h.size() {
		return frameHeader{}, nil, &damage{cutFrame, 0, fmt.Sprintf("the header frame has %d bytes, %d are there", h.size(), len(b))}
	}
	if !frameOK(b) {
		return frameHeader{}, nil, &damage{badFrame, 0, "the checksum of the header frame does not match"}
	}
	return h, b, h.checkKnown()
}

// readGrowing reads the first n bytes of the segment, or fewer if it ends
// before. It makes room for what is there, not for what somebody declared.
func readGrowing(ctx context.Context, src Source, n int64) ([]byte, error) {
	var b []byte
	for room := int64(firstReadBytes); ; room *= 2 {
		want := min(n, room)
		have := len(b)
		b = append(b, make([]byte, want-int64(have))...)
		got, err := readAt(ctx, src, b[have:], int64(have))
		if err != nil {
			return nil, err
		}
		b = b[:have+got]
		if int64(len(b)) < want || want == n {
			return b, nil
		}
	}
}
