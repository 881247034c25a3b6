package explore

import (
	"fmt"
	"strings"
	"testing"
)

// Report says what a search has covered.
type Report struct {
	// States are different situations, Steps the moves between them. Lives are how
	// often an owner really ran, Moments in how many states one can be.
	States, Steps, Longest, Lives, Moments int
	// Complete is false if MaxStates ended it.
	Complete bool
}

// String is for the test's output.
func (r Report) String() string {
	return fmt.Sprintf("%d states, %d steps, longest way %d steps; %d states of one owner, which ran %d times; complete: %v",
		r.States, r.Steps, r.Longest, r.Moments, r.Lives, r.Complete)
}

// hunt is a search for broken promises.
type hunt struct {
	bounds Bounds
	lives  *lives
	empty  content
	// seen has for each situation what was used of the bounds when it was met,
	// the least; others that are not more go to also.
	seen map[[16]byte]used
	also map[[16]byte][]used
	most int
	// way leads to where the search is.
	way     []move
	scratch []byte
	report  Report
	fault   error
	// watch, unless nil, sees what is done to the owners and to what they share.
	watch func(event)
	// atEnd, unless nil, sees the situations in which nothing can happen anymore.
	atEnd func(*situation)
}

// event is one thing that the explorer did.
type event struct {
	what     kindOfEvent
	owner    int
	question *question
	told     told
	turn     *turn
}

type kindOfEvent uint8

const (
	tookEffect kindOfEvent = iota // question, with the answer in told
	wasTold                       // the owner, which then did what turn says
	begun                         // the owner, the same
	crashed
	minutePassed // for all; each owner is told next
)

func (h *hunt) shows(e event) {
	if h.watch != nil {
		h.watch(e)
	}
}

func newHunt(t *testing.T, b Bounds) *hunt {
	return &hunt{bounds: b, lives: newLives(t, b), seen: map[[16]byte]used{}, also: map[[16]byte][]used{}}
}

// Search goes through all that can happen within the bounds, depth first, and
// returns the first broken promise with the steps that led to it. It ends early
// once it has seen maxStates states; 0 is no limit.
func Search(t *testing.T, b Bounds, maxStates int) (Report, error) {
	h := newHunt(t, b)
	h.most = maxStates
	h.report.Complete = true
	h.visit(newSituation())
	return h.result(), h.broken()
}

func (h *hunt) result() Report {
	r := h.report
	r.States, r.Lives, r.Moments = len(h.seen), h.lives.runs, int(h.lives.moments)
	return r
}

// broken is what was found, with the way that leads there.
func (h *hunt) broken() error {
	if h.fault == nil {
		return h.lives.fault
	}
	return fmt.Errorf("%w, after:%s", h.fault, h.steps())
}

// steps is the way in words.
func (h *hunt) steps() string {
	var steps strings.Builder
	for _, m := range h.way {
		steps.WriteString("\n  " + h.bounds.describe(m))
	}
	return steps.String()
}

// visit goes on from a situation. It returns false if the search is over.
func (h *hunt) visit(w *situation) bool {
	if h.fault != nil || h.lives.fault != nil {
		return false
	}
	if w.over || h.known(w) {
		return true
	}
	if h.most > 0 && len(h.seen) > h.most {
		h.report.Complete = false
		return false
	}
	h.report.Longest = max(h.report.Longest, len(h.way))
	for _, m := range h.moves(w) {
		h.way = append(h.way, m)
		h.report.Steps++
		if !h.visit(h.step(w, m)) {
			return false
		}
		h.way = h.way[:len(h.way)-1]
	}
	return true
}

// known tells whether the situation was met before with no more used, and notes
// it.
func (h *hunt) known(w *situation) bool {
	var key [16]byte
	key, h.scratch = w.fingerprint(h.bounds, h.scratch)
	first, met := h.seen[key]
	if !met {
		h.seen[key] = w.used
		return false
	}
	if first.covers(w.used) {
		return true
	}
	for _, u := range h.also[key] {
		if u.covers(w.used) {
			return true
		}
	}
	if w.used.covers(first) {
		h.seen[key] = w.used
	} else {
		h.also[key] = append(h.also[key], w.used)
	}
	return false
}
