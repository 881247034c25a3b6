package explore

import "slices"

// settled returns a call of which it is settled what it does, whoever moves
// before: its answer does not depend on the others, and they never notice it. It
// goes first then, alone: whatever order the rest takes, the same comes of it.
//
// With its owner's other calls it commutes as well, since they are answered to
// other goroutines (TestSettledCallsCommute). While a minute may still pass, which
// all owners notice, nothing is settled.
func (h *hunt) settled(w *situation) (owner int, q *question) {
	if h.lives.plain || h.bounds.Trim && w.used.minutes == 0 {
		return 0, nil
	}
	for i, o := range w.owners {
		for _, q := range o.moment.questions {
			if h.isSettled(w, i, q) {
				return i, q
			}
		}
	}
	return 0, nil
}

func (h *hunt) isSettled(w *situation, asker int, q *question) bool {
	switch q.verb {
	case doAppend, doRaise, doSwap:
		return h.refused(w, asker, q)
	case doRecover:
		i, found := w.find(q.segment)
		return found && !h.bounds.Trim && (w.files[i].sealed || h.unnoticed(w, q.segment))
	default:
		return false
	}
}

// unnoticed tells whether nobody can notice that a segment is sealed: nobody
// appends to it, and nobody will list before the end.
func (h *hunt) unnoticed(w *situation, segment string) bool {
	if len(w.owners) < len(h.bounds.Owners) || slices.ContainsFunc(w.owners, func(o seat) bool { return o.moment.opening }) {
		return false
	}
	appends := func(q *question) bool { return q.verb == doAppend && q.segment == segment }
	return !slices.ContainsFunc(w.late, appends) &&
		!slices.ContainsFunc(w.owners, func(o seat) bool { return slices.ContainsFunc(o.moment.questions, appends) })
}
