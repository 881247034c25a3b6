package s3

import (
	"slices"
	"sort"
)

// window is how many chunks may be on their way at once: an appender puts chunk n
// only when chunk n-window is acknowledged. It may grow in later versions, and
// never shrink: readers tell damage by it.
const window = 16

// chunk is one object of a segment's run.
type chunk struct {
	off, size int64
}

// run is a segment as its objects show it. It is not changed once it is shared.
type run struct {
	chunks []chunk // from number 0 on, without a gap, none empty
	// sealed: there is an empty object behind the chunks.
	sealed bool
	// far is the highest chunk that is not empty and lies behind the run, 0 if
	// there is none.
	far int64
	// beyond: there is some object behind the run's end that is not its seal.
	beyond bool
}

// object is what a listing says of an object.
type object struct {
	number, size int64
}

// next is the number behind the run.
func (r run) next() int64 { return int64(len(r.chunks)) }

func (r run) size() int64 {
	if len(r.chunks) == 0 {
		return 0
	}
	last := r.chunks[len(r.chunks)-1]
	return last.off + last.size
}

// exists tells whether there is a segment: it has a head and was not removed.
func (r run) exists() bool { return len(r.chunks) > 0 }

// broken tells whether objects lie so far behind the run that one must be
// missing in between.
func (r run) broken() bool { return !r.sealed && r.far >= r.next()+window }

// end returns what of a listed run may not be there for good: the seal, and the chunks
// that no other one's being there shows to be acknowledged (see window).
func (r run) end() []object {
	var objects []object
	for n := max(0, r.next()-window); n < r.next(); n++ {
		objects = append(objects, object{n, r.chunks[n].size})
	}
	if r.sealed {
		objects = append(objects, object{r.next(), 0})
	}
	return objects
}

// extend returns the run with what a listing of the objects behind it shows.
func (r run) extend(objects []object) run {
	slices.SortFunc(objects, func(a, b object) int { return int(a.number - b.number) })
	longer := run{chunks: slices.Clip(r.chunks), sealed: r.sealed}
	for _, o := range objects {
		switch {
		case o.number < longer.next():
		case longer.sealed || o.number > longer.next():
			if o.number != longer.next() {
				longer.beyond = true
			}
			if o.size > 0 {
				longer.far = max(longer.far, o.number)
			}
		case o.size == 0:
			longer.sealed = true
		default:
			longer.chunks = append(longer.chunks, chunk{off: longer.size(), size: o.size})
		}
	}
	return longer
}

// covering returns the numbers [from, to) of the chunks that have bytes in
// [off, end).
func (r run) covering(off, end int64) (from, to int) {
	from = sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].off+r.chunks[i].size > off })
	to = sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].off >= end })
	return from, to
}
