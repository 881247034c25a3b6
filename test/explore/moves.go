package explore

import (
	"fmt"
	"slices"
)

// outcome is how a call ends.
type outcome string

const (
	succeeds  outcome = "takes effect and returns"
	fails     outcome = "fails"
	ambiguous outcome = "takes effect and returns an error"
	late      outcome = "returns an error and may take effect later"
)

// move is one thing that could happen next.
type move struct {
	kind     kindOfMove
	owner    int
	question *question
	outcome  outcome
}

type kindOfMove uint8

const (
	callEnds   kindOfMove = iota // the owner's question is answered
	lateEffect                   // the question's effect comes, long after its answer
	ownerStarts
	ownerCrashes
	comesBack // the partition is assigned to the first owner again
	minutePasses
	theEnd // nothing can happen anymore: one more opens the partition
)

func (b Bounds) describe(m move) string {
	switch m.kind {
	case callEnds:
		return fmt.Sprintf("%s: %v %s", b.name(m.owner), m.question, m.outcome)
	case lateEffect:
		return fmt.Sprintf("%v takes its late effect", m.question)
	case ownerStarts:
		return fmt.Sprintf("%s starts: the partition is assigned to it", b.name(m.owner))
	case ownerCrashes:
		return b.name(m.owner) + " crashes"
	case comesBack:
		return fmt.Sprintf("the partition is assigned to %s again", b.name(0))
	case minutePasses:
		return "a minute passes"
	default:
		return "the end: one more opens the partition"
	}
}

// moves lists what could happen, what costs nothing of the bounds first, so that
// most situations are first met as cheaply as they can be.
func (h *hunt) moves(w *situation) []move {
	var all, faults []move
	if i, q := h.settled(w); q != nil {
		return h.endings(w, i, q)
	}
	for i, o := range w.owners {
		if o.crashed {
			continue
		}
		for _, q := range o.moment.questions {
			ends := h.endings(w, i, q)
			all, faults = append(all, ends[0]), append(faults, ends[1:]...)
		}
		if int(w.used.crashes) < h.bounds.Crashes && len(o.moment.questions) > 0 {
			faults = append(faults, move{kind: ownerCrashes, owner: i})
		}
	}
	started := len(w.owners) == len(h.bounds.Owners)
	if len(all) == 0 && started {
		// Late effects that are left never come.
		all = append(all, move{kind: theEnd})
	}
	for _, q := range w.late {
		all = append(all, move{kind: lateEffect, question: q})
	}
	if !started {
		all = append(all, move{kind: ownerStarts, owner: len(w.owners)})
	}
	if h.bounds.Back && !w.again && started {
		all = append(all, move{kind: comesBack})
	}
	if h.bounds.Trim && w.used.minutes == 0 && w.trimmed > 0 {
		all = append(all, move{kind: minutePasses})
	}
	return append(all, faults...)
}

// endings lists how a call may end, well first. What can't take effect anymore
// only fails.
func (h *hunt) endings(w *situation, asker int, q *question) []move {
	all := []move{{kind: callEnds, owner: asker, question: q, outcome: succeeds}}
	if int(w.used.faults) >= h.bounds.Faults || q.verb == askNext {
		return all
	}
	add := func(o outcome) { all = append(all, move{kind: callEnds, owner: asker, question: q, outcome: o}) }
	add(fails)
	if h.refused(w, asker, q) {
		return all
	}
	if q.verb.changes() {
		add(ambiguous)
	}
	if q.verb.canBeLate() && int(w.used.lates) < h.bounds.Late {
		add(late)
	}
	return all
}

// step returns the situation that a move leads to.
func (h *hunt) step(from *situation, m move) *situation {
	w := from.clone()
	switch m.kind {
	case callEnds:
		h.answer(w, m)
	case lateEffect:
		w.late = without(w.late, m.question)
		h.takeEffect(w, m.owner, m.question) // its caller was told long ago
	case ownerStarts:
		h.start(w)
	case ownerCrashes:
		o := &w.owners[m.owner]
		o.crashed = true
		for _, q := range o.moment.questions {
			if q.verb.canBeLate() {
				w.addLate(q)
			}
		}
		o.moment = h.lives.ended
		w.used.crashes++
		h.shows(event{what: crashed, owner: m.owner})
	case comesBack:
		w.again, w.assigned = true, 0
	case minutePasses:
		w.used.minutes++
		h.shows(event{what: minutePassed})
		for i, o := range w.owners {
			if !o.moment.ended {
				h.happens(w, i, h.tell(w, i, told{}))
			}
		}
	case theEnd:
		if h.atEnd != nil {
			h.atEnd(w)
		}
		h.finish(w)
	}
	w.late = slices.DeleteFunc(slices.Clone(w.late), func(q *question) bool { return h.refused(w, -1, q) })
	h.checkNames(w)
	return w
}

// answer ends a call.
func (h *hunt) answer(w *situation, m move) {
	q, what := m.question, told{question: m.question, failed: faulty}
	switch m.outcome {
	case succeeds:
		what = h.takeEffect(w, m.owner, q)
	case ambiguous:
		h.takeEffect(w, m.owner, q) // the caller is told faulty, whatever became of it
	case late:
		w.addLate(q)
		w.used.lates++
	}
	if m.outcome != succeeds {
		w.used.faults++
	}
	h.happens(w, m.owner, h.tell(w, m.owner, what))
}

func (h *hunt) tell(w *situation, who int, what told) *turn {
	turn := h.lives.tell(w.owners[who].moment, what)
	h.shows(event{what: wasTold, owner: who, question: what.question, told: what, turn: turn})
	return turn
}

func (h *hunt) start(w *situation) {
	n := len(w.owners)
	turn := h.lives.begin(h.bounds.role(n, w.used.minutes > 0))
	w.owners = append(w.owners, seat{})
	w.assigned = n
	h.shows(event{what: begun, owner: n, turn: turn})
	h.happens(w, n, turn)
}

// happens is what an owner does in one step: what it says is checked, and what it
// only reads is answered at once.
func (h *hunt) happens(w *situation, who int, t *turn) {
	opened := false
	for {
		w.owners[who].moment = t.to
		for _, s := range t.said {
			opened = opened || s.what == hasOpened
			h.hear(w, who, s)
		}
		if t.shows != nil {
			h.look(w, who, t.shows, opened && t.shows.epoch == w.record.Epoch)
		}
		q := t.to.atOnce()
		if q == nil {
			return
		}
		t = h.tell(w, who, h.takeEffect(w, who, q))
	}
}

// finish opens the partition once more, without any fault, and reads it.
func (h *hunt) finish(w *situation) {
	w.over = true
	final := len(w.owners)
	h.start(w)
	for len(w.owners[final].moment.questions) > 0 {
		h.answer(w, move{owner: final, question: w.owners[final].moment.questions[0], outcome: succeeds})
	}
}
