package explore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/talos-log/talos/talos"
)

func (h *hunt) breaks(format string, args ...any) {
	if h.fault == nil {
		h.fault = fmt.Errorf(format, args...)
	}
}

// hear checks what an owner says.
func (h *hunt) hear(w *situation, who int, s saying) {
	switch s.what {
	case triesName:
		h.tries(w, s.name)
	case sealsSegment:
		if i, found := w.find(s.name); found {
			f := w.files[i]
			f.sealed = true
			w.setFile(i, f)
		}
	case acknowledges:
		h.acknowledge(w, who, s)
	case asksForTrim:
		w.trimmed = max(w.trimmed, s.offset)
	case cantOpen:
		switch talos.KindOf(s.err) {
		case talos.BrokenChain, talos.CorruptSegment, talos.RestoredRecord:
			h.breaks("%s can't open the partition: %w", h.bounds.name(who), s.err)
		default:
			if w.over {
				h.breaks("nobody can open the partition in the end: %w", s.err)
			}
		}
	case breaksRule:
		h.breaks("%s: %w", h.bounds.name(who), s.err)
	}
}

// tries notes a name that is given to Create: a second time breaks the rule that
// saves stores from telling a late create from a new one.
func (h *hunt) tries(w *situation, name string) {
	i, found := slices.BinarySearch(w.tried, name)
	if found {
		h.breaks("segment %s is created a second time", name)
		return
	}
	w.tried = slices.Insert(w.tried, i, name)
}

func (h *hunt) acknowledge(w *situation, who int, s saying) {
	name := h.bounds.name(who)
	for other, offset := range w.acked {
		switch {
		case offset == s.offset && int32(other) != s.sequence:
			h.breaks("offset %d was acknowledged for record %d, and is for %d by %s", offset, other, s.sequence, name)
		case offset >= 0 && offset != s.offset && int32(other) == s.sequence:
			h.breaks("record %d was acknowledged at offset %d, and is at %d by %s", other, offset, s.offset, name)
		}
	}
	w.acked = set(w.acked, int(s.sequence), s.offset)
	w.next = max(w.next, s.sequence+1)
}

// look compares what an owner shows with all that was shown before. With
// complete, nothing that was shown or acknowledged may be missing.
func (h *hunt) look(w *situation, who int, s *shown, complete bool) {
	name := h.bounds.name(who)
	if s.start > w.trimmed {
		h.breaks("%s starts at %d, nobody asked for more than %d", name, s.start, w.trimmed)
	}
	there := map[int32]talos.Offset{}
	for _, p := range s.at {
		if before := get(w.shown, int(p.offset)); before >= 0 && before != p.sequence {
			h.breaks("offset %d was record %d, and is %d for %s", p.offset, before, p.sequence, name)
		}
		w.shown = set(w.shown, int(p.offset), p.sequence)
		there[p.sequence] = p.offset
	}
	if !complete || s.partly {
		return
	}
	for offset, sequence := range w.shown {
		if sequence >= 0 && talos.Offset(offset) >= max(s.end, w.trimmed) {
			h.breaks("record %d at offset %d was readable, and is gone for %s, which ends at %d", sequence, offset, name, s.end)
		}
	}
	for sequence, offset := range w.acked {
		at, ok := there[int32(sequence)]
		if offset >= 0 && (!ok && offset >= w.trimmed || ok && at != offset) {
			h.breaks("record %d was acknowledged at offset %d, and is not there for %s", sequence, offset, name)
		}
	}
}

// commits notes which segment a tail that was just swapped stands for.
func (h *hunt) commits(w *situation, tail talos.SegmentNumber) {
	if !h.bounds.Trim || w.committed(tail) != "" {
		return
	}
	for _, f := range slices.Backward(w.files) {
		if f.parsed.Number == tail {
			w.garbage.committed = insert(w.garbage.committed, f.name)
			return
		}
	}
}

// checkNames makes sure that no two segments have the same number and epoch (the
// chain would be ambiguous), and that none is removed before what it had made
// garbage (that would count again for whoever looks at the folder). A create that
// takes effect when its number is below the start already can't be helped.
func (h *hunt) checkNames(w *situation) {
	for i, f := range w.files {
		if i > 0 && w.files[i-1].parsed.Number == f.parsed.Number && w.files[i-1].parsed.Epoch == f.parsed.Epoch {
			h.breaks("%s and %s have the same number and epoch", w.files[i-1].name, f.name)
		}
		if len(w.garbage.removed) == 0 {
			continue
		}
		winner := w.committed(f.parsed.Number)
		if winner != "" && f.name < winner && slices.Contains(w.garbage.removed, winner) && !slices.Contains(w.garbage.tooLate, f.name) {
			h.breaks("%s was removed before %s, which it had made garbage", winner, f.name)
		}
	}
}

// checkNeeded makes sure that what is removed does not count: no segment between
// the start and the tail is removed that is the newest of its number.
func (h *hunt) checkNeeded(w *situation, f file) {
	n := f.parsed.Number
	if n < w.record.Start.Number || n > w.record.Tail {
		return
	}
	for _, other := range w.files {
		if other.parsed.Number == n && other.parsed.Epoch > f.parsed.Epoch {
			return
		}
	}
	h.breaks("%s is removed, and counts under %v", f.name, w.record)
}

// insert returns the sorted names with one more.
func insert(names []string, name string) []string {
	i, found := slices.BinarySearch(names, name)
	if found {
		return names
	}
	return slices.Insert(slices.Clone(names), i, name)
}

// without returns the questions without one of them.
func without(all []*question, q *question) []*question {
	i := slices.Index(all, q)
	return slices.Delete(slices.Clone(all), i, i+1)
}

func (w *situation) addLate(q *question) {
	i, _ := slices.BinarySearchFunc(w.late, q, func(a, b *question) int { return cmp.Compare(a.id, b.id) })
	w.late = slices.Insert(slices.Clone(w.late), i, q)
}

// get returns the i-th of a list that goes on with nothing, which is -1.
func get[T ~int32 | ~int64](list []T, i int) T {
	if i < len(list) {
		return list[i]
	}
	return -1
}

// set returns a copy of the list in which the i-th is v.
func set[T ~int32 | ~int64](list []T, i int, v T) []T {
	if get(list, i) == v {
		return list
	}
	next := slices.Clone(list)
	for len(next) <= i {
		next = append(next, -1)
	}
	next[i] = v
	return next
}
