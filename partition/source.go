package partition

import (
	"context"
	"io"

	"github.com/talos-log/talos/storage"
)

// source reads one segment through the node's cache of history, up to end: what
// lies below is final. It is a segment.Source.
type source struct {
	history *History
	store   storage.Store
	id      storage.ID
	end     int64
}

// ReadAt reads like io.ReaderAt, of a segment that ends at s.end.
func (s source) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	last := min(off+int64(len(p)), s.end)
	var chunks []*chunk
	for at := off; at < last; {
		number := at / chunkBytes
		to := min((number+1)*chunkBytes, last)
		chunks = append(chunks, s.history.get(s, number, to-number*chunkBytes))
		at = to
	}
	n := 0
	for _, c := range chunks {
		select {
		case <-c.ready:
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
		if c.err != nil {
			return n, c.err
		}
		at := (off + int64(n)) % chunkBytes
		if at < int64(len(c.bytes)) {
			n += copy(p[n:], c.bytes[at:])
		}
		if int64(len(c.bytes)) < c.want {
			break // the segment is shorter than it should be
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// View returns bytes of one chunk, up to its end, which stay as they are.
func (s source) View(ctx context.Context, off, n int64) ([]byte, error) {
	number, at := off/chunkBytes, off%chunkBytes
	if at+n > chunkBytes || off+n > s.end {
		return nil, nil
	}
	c := s.history.get(s, number, at+n)
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if c.err != nil {
		return nil, c.err
	}
	// Another source may have read farther.
	to := min(int64(len(c.bytes)), s.end-number*chunkBytes)
	if at+n > to {
		return nil, nil // the segment is shorter than it should be
	}
	return c.bytes[at:to:to], nil
}
