package mem

// chunkBytes is the size of all chunks of a content but the last, so that a
// growing segment is never copied as a whole.
const chunkBytes = 256 << 10

// content is a growing run of bytes.
type content struct {
	chunks [][]byte
	size   int64
}

func (c *content) append(p []byte) {
	c.size += int64(len(p))
	for len(p) > 0 {
		last := len(c.chunks) - 1
		if last < 0 || len(c.chunks[last]) == chunkBytes {
			c.chunks = append(c.chunks, nil)
			last++
		}
		n := min(len(p), chunkBytes-len(c.chunks[last]))
		c.chunks[last] = append(c.chunks[last], p[:n]...)
		p = p[n:]
	}
}

// readAt copies what there is from off on, which must not be negative.
func (c *content) readAt(p []byte, off int64) int {
	n := 0
	for n < len(p) && off < c.size {
		k := copy(p[n:], c.chunks[off/chunkBytes][off%chunkBytes:])
		n += k
		off += int64(k)
	}
	return n
}
