package codec

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// Buffers of 1 KiB to 4 MiB are kept, in powers of two; larger ones are left to the
// garbage collector, and smaller ones are as quickly made.
const (
	leastExponent = 10
	mostExponent  = 22
)

var pool = &buffers{}

// Pool returns the buffers that all connections of this process share. A buffer
// holds what it held before.
func Pool() mem.BufferPool { return pool }

// buffers implements mem.BufferPool.
type buffers struct {
	sizes [mostExponent - leastExponent + 1]sync.Pool
}

// Get returns a buffer of this length.
func (b *buffers) Get(length int) *[]byte {
	exponent := max(leastExponent, bits.Len(uint(max(1, length)-1)))
	if exponent > mostExponent {
		buffer := make([]byte, length)
		return &buffer
	}
	if kept, ok := b.sizes[exponent-leastExponent].Get().(*[]byte); ok {
		*kept = (*kept)[:length]
		return kept
	}
	buffer := make([]byte, length, 1<<exponent)
	return &buffer
}

// Put takes one back. One that did not come from Get is dropped.
func (b *buffers) Put(buffer *[]byte) {
	exponent := bits.Len(uint(cap(*buffer))) - 1
	if exponent < leastExponent || exponent > mostExponent || cap(*buffer) != 1<<exponent {
		return
	}
	b.sizes[exponent-leastExponent].Put(buffer)
}
