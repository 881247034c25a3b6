package partition

import (
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// view is what readers see: an immutable picture, replaced as a whole by the run
// goroutine with each acknowledgement.
type view struct {
	rng   talos.OffsetRange
	epoch talos.Epoch
	chain []link
	// newest is when the last record was appended, in milliseconds.
	newest int64
	// open is the segment being written, as far as it is acknowledged; nil if
	// there is none.
	open *openSegment
	// changed is closed when a later view is published.
	changed chan struct{}
	// ended is true once no later view will come.
	ended bool
}

// openSegment is what reading the segment in writing needs.
type openSegment struct {
	name  talos.SegmentName
	salt  uint64
	index segment.Index
	end   int64
}

// bytes is the size of the whole chain.
func (v *view) bytes() int64 {
	var n int64
	for _, l := range v.chain {
		if v.open != nil && v.open.name == l.name {
			n += v.open.end
		} else {
			n += l.size
		}
	}
	return n
}
