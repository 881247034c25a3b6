package explore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// takeEffect does what was asked for, as the memory store and a record in memory
// do it (TestOwnersTogetherFindTheSame compares), and returns the answer.
func (h *hunt) takeEffect(w *situation, asker int, q *question) told {
	t := told{question: q}
	i, found := w.find(q.segment)
	switch q.verb {
	case doCreate:
		if found {
			t.failed = exists
			break
		}
		h.create(w, i, q)
	case doAppend:
		if h.refused(w, asker, q) {
			t.failed = dead
			break
		}
		f := w.files[i]
		f.content, f.appends = h.lives.add(f.content, q.bytes), q.nth
		w.setFile(i, f)
	case doRecover:
		if !found {
			t.failed = notFound
			break
		}
		f := w.files[i]
		f.sealed = true
		w.setFile(i, f)
		t.size = int64(len(f.content.bytes))
	case doOpen:
		if !found {
			t.failed = notFound
			break
		}
		t.content = w.files[i].content
	case doList:
		t.listing = h.list(w)
	case doRemove:
		if found {
			h.checkNeeded(w, w.files[i])
			w.files = slices.Delete(slices.Clone(w.files), i, i+1)
			w.garbage.removed = insert(w.garbage.removed, q.segment)
		}
	case askNext:
		t.sequence = w.next
	case doRead:
		t.record = w.record
	default:
		h.changeRecord(w, asker, q, &t)
	}
	h.shows(event{what: tookEffect, owner: asker, question: q, told: t})
	return t
}

func (h *hunt) create(w *situation, i int, q *question) {
	name, err := talos.ParseSegmentName(q.segment)
	if err != nil {
		h.breaks("segment %q: %w", q.segment, err)
	}
	w.files = slices.Insert(slices.Clone(w.files), i, file{name: q.segment, parsed: name, content: h.lives.add(&h.empty, q.bytes)})
	if h.bounds.Trim && name.Number < w.record.Start.Number {
		w.garbage.tooLate = insert(w.garbage.tooLate, q.segment)
	}
}

// list names the sizes of sealed segments only: of others they may be old, as the
// contract says, and nobody may rely on them.
func (h *hunt) list(w *situation) *listing {
	var key strings.Builder
	var all []storage.Info
	for _, f := range w.files {
		info := storage.Info{Name: f.name, Sealed: f.sealed}
		if f.sealed {
			info.Size = int64(len(f.content.bytes))
		}
		fmt.Fprintln(&key, info.Name, info.Size, info.Sealed)
		all = append(all, info)
	}
	known, ok := h.lives.listings[key.String()]
	if !ok {
		known = &listing{all}
		h.lives.listings[key.String()] = known
	}
	return known
}

func (h *hunt) changeRecord(w *situation, asker int, q *question, t *told) {
	switch {
	case h.refused(w, asker, q), q.verb == doSwap && w.record != q.old:
		t.failed = notOwner
	case q.verb == doRaise:
		w.record.Epoch++
		t.record = w.record
	default:
		w.record = q.next
		h.commits(w, q.next.Tail)
	}
}

// refused tells whether a call can't take effect anymore, whatever else happens
// before: epochs only grow, a segment that is sealed or gone stays so, and the
// partition goes to later owners, or once to the first one.
func (h *hunt) refused(w *situation, asker int, q *question) bool {
	switch q.verb {
	case doCreate:
		_, found := w.find(q.segment)
		return found
	case doAppend:
		i, found := w.find(q.segment)
		return !found || w.files[i].sealed || w.files[i].appends != q.nth-1
	case doSwap:
		return q.old.Epoch < w.record.Epoch
	case doRaise:
		return w.assigned != asker && (!h.bounds.Back || w.again || asker != 0)
	default:
		return false
	}
}
