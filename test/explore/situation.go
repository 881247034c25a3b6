package explore

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/talos-log/talos/talos"
)

// situation is a state of the whole: what the owners share, and the moment each
// of them is in. Steps make a new one of it; what its slices hold is never changed
// in place.
type situation struct {
	record talos.PartitionRecord
	files  []file // sorted by name
	// owners are in the order of their start; the one at assigned has the partition.
	owners   []seat
	assigned int
	// late are effects that may still come, sorted.
	late []*question

	used  used
	again bool // the partition came back to the first owner
	next  int32
	over  bool // the final owner has looked

	// What was promised: offsets of acknowledged sequences, and the sequence at each
	// offset that anybody ever showed; -1 is none. What lies below trimmed may be
	// gone.
	acked   []talos.Offset
	shown   []int32
	trimmed talos.Offset

	// tried are the names that were given to Create. garbage is only kept where
	// segments are removed.
	tried   []string
	garbage bookkeeping
}

// used is what of the bounds is spent. A situation in which less is spent can do
// all that the same one with more spent can.
type used struct{ faults, lates, crashes, minutes uint8 }

// covers tells whether u is nowhere more than other; minutes are the same then.
func (u used) covers(other used) bool {
	return u.faults <= other.faults && u.lates <= other.lates && u.crashes <= other.crashes
}

// seat is one owner's place.
type seat struct {
	moment  *moment
	crashed bool
}

// file is a segment in the store.
type file struct {
	name   string
	parsed talos.SegmentName
	// content is its head and, behind it, this many appends.
	content *content
	appends int
	sealed  bool
}

// bookkeeping is for the rule that nothing is removed before what it had made
// garbage.
type bookkeeping struct {
	// committed are the segments that the record's tail reached, removed those that
	// were removed, tooLate those created when the log start had passed their number.
	committed, removed, tooLate []string
}

// committed is the segment of a number that the tail reached, "" if it did not.
func (w *situation) committed(n talos.SegmentNumber) string {
	for _, name := range w.garbage.committed {
		if parsed, err := talos.ParseSegmentName(name); err == nil && parsed.Number == n {
			return name
		}
	}
	return ""
}

func newSituation() *situation {
	return &situation{record: talos.NewPartitionRecord(), assigned: -1}
}

// clone returns a copy that a step may change: the slices are full, so that
// appending copies them.
func (w *situation) clone() *situation {
	next := *w
	next.owners = slices.Clone(w.owners)
	next.files = slices.Clip(w.files)
	next.late = slices.Clip(w.late)
	next.acked, next.shown, next.tried = slices.Clip(w.acked), slices.Clip(w.shown), slices.Clip(w.tried)
	g := &next.garbage
	g.committed, g.removed, g.tooLate = slices.Clip(g.committed), slices.Clip(g.removed), slices.Clip(g.tooLate)
	return &next
}

func (w *situation) find(name string) (int, bool) {
	return slices.BinarySearchFunc(w.files, name, func(f file, n string) int { return cmp.Compare(f.name, n) })
}

// setFile replaces one file.
func (w *situation) setFile(i int, f file) {
	w.files = slices.Clone(w.files)
	w.files[i] = f
}

// fingerprint names the situation but for what is used: two with the same one go
// on alike. Owners in the same moment can't be told apart, so their order does not
// count, unless the first one is special.
func (w *situation) fingerprint(b Bounds, scratch []byte) ([16]byte, []byte) {
	out := binary.AppendUvarint(scratch[:0], uint64(w.record.Epoch))
	num := func(n int64) { out = binary.AppendVarint(out, n) }
	text := func(s string) { num(int64(len(s))); out = append(out, s...) }
	num(int64(w.record.Tail))
	num(int64(w.record.Start.Number))
	num(int64(w.record.Start.Offset))
	num(int64(w.used.minutes)) // not less or more, but another time
	num(int64(w.next))
	num(int64(w.trimmed))
	if w.again {
		num(1)
	} else {
		num(0)
	}
	var seats [maxOwners + 1]uint64
	for i, o := range w.owners {
		if o.moment.ended {
			continue // crashed or not, it is all the same
		}
		seats[i] = uint64(o.moment.id) << 1
		if w.assigned == i {
			seats[i] |= 1
		}
	}
	if !b.Back {
		slices.Sort(seats[:len(w.owners)])
	}
	num(int64(len(w.owners)))
	for _, s := range seats[:len(w.owners)] {
		num(int64(s))
	}
	num(int64(len(w.late)))
	for _, q := range w.late {
		num(int64(q.id))
	}
	num(int64(len(w.files)))
	for _, f := range w.files {
		text(f.name)
		num(int64(f.content.id) << 1)
		if f.sealed {
			num(1)
		} else {
			num(0)
		}
	}
	for _, o := range w.acked {
		num(int64(o))
	}
	num(-9)
	for _, s := range w.shown {
		num(int64(s))
	}
	for _, all := range [][]string{w.tried, w.garbage.committed, w.garbage.removed, w.garbage.tooLate} {
		num(-9)
		for _, name := range all {
			text(name)
		}
	}
	sum := sha256.Sum256(out)
	return [16]byte(sum[:16]), out
}
