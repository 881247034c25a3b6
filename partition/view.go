package partition

import (
	"slices"

	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// maxTailBytes bounds the newest batches that one partition keeps in memory for
// readers at the tail. An idle partition, whose segment is closed, keeps none.
const maxTailBytes = 4 << 20

// view is what readers see: an immutable picture, replaced as a whole by the run
// goroutine with each acknowledgement.
type view struct {
	rng   talos.OffsetRange
	epoch talos.Epoch
	chain []link
	// open is the segment being written, as far as it is acknowledged; nil if
	// there is none.
	open *openSegment
	tail tail
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

// group is the batches of one append.
type group struct {
	base, next talos.Offset
	payload    []byte
}

// tail is the newest groups, without gaps. It is a value: adding returns another
// one, and readers of the old are not disturbed.
type tail struct {
	groups []group
	bytes  int
	// dropped counts groups that left since the slice was last copied.
	dropped int
}

func (t tail) add(g group) tail {
	t.groups = append(t.groups, g)
	t.bytes += len(g.payload)
	for t.bytes > maxTailBytes {
		t.bytes -= len(t.groups[0].payload)
		t.groups = t.groups[1:]
		t.dropped++
	}
	if t.dropped > len(t.groups) {
		// Lets go of the memory that the old array still refers to.
		t.groups, t.dropped = slices.Clone(t.groups), 0
	}
	return t
}

// from returns the groups from the one on that holds offset; false if that one
// is not there.
func (t tail) from(offset talos.Offset) ([]group, bool) {
	if len(t.groups) == 0 || offset < t.groups[0].base {
		return nil, false
	}
	for i, g := range t.groups {
		if offset < g.next {
			return t.groups[i:], true
		}
	}
	return nil, false
}
