package explore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingIsMissed goes through small bounds twice: as the searches do, and
// without taking any two moments of an owner for one, nor letting any call go
// first. Everything that can come of it in the end is the same.
func TestNothingIsMissed(t *testing.T) {
	for _, b := range []Bounds{
		{Owners: two, Appends: []int{1, 1}, Faults: 1, Late: 1},
		{Owners: two, Appends: []int{1, 1}, SegmentBytes: 1, Crashes: 1},
		{Owners: two, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true},
		{Owners: two, Appends: []int{1, 1}, Faults: 1, Back: true},
		{Owners: three, Appends: []int{1, 1, 1}, Again: true},
		{Owners: two, Appends: []int{2, 2}, SegmentBytes: 1},
		{Owners: restart, Appends: []int{1, 0, 1}, Faults: 1},
	} {
		reduced, few := ends(t, b, false)
		plain, many := ends(t, b, true)
		require.Equal(t, plain, reduced, "%+v", b)
		require.Less(t, few.States, many.States)
		t.Logf("%d ends; %d states instead of %d", len(plain), few.States, many.States)
		if underRace {
			return
		}
	}
}

// ends searches, and lists what it can come to.
func ends(t *testing.T, b Bounds, plain bool) ([]string, Report) {
	h := newHunt(t, b)
	h.lives.plain = plain
	all := map[string]bool{}
	h.atEnd = func(w *situation) {
		var files []string
		for _, f := range w.files {
			files = append(files, fmt.Sprint(f.name, " ", f.appends, " ", f.sealed, " ", len(f.content.bytes)))
		}
		all[fmt.Sprintln(w.record, w.acked, w.shown, w.trimmed, w.tried, files)] = true
	}
	h.visit(newSituation())
	require.NoError(t, h.broken())
	var sorted []string
	for one := range all {
		sorted = append(sorted, one)
	}
	slices.Sort(sorted)
	return sorted, h.result()
}

var faulting = Bounds{Owners: two, Appends: []int{2, 1}, SegmentBytes: 1, Faults: 1, Late: 1, Crashes: 1}

// TestAnOwnerToldTheSameDoesTheSame lives each life again.
func TestAnOwnerToldTheSameDoesTheSame(t *testing.T) {
	h := searched(t, faulting)
	turns := 0
	h.lives.each(func(m *moment) {
		for what, before := range m.after {
			again := h.lives.live(m, &what)
			require.Equal(t, before.said, again.said)
			require.Equal(t, before.shows, again.shows)
			require.Equal(t, before.to.questions, again.to.questions)
			turns++
		}
	})
	require.NoError(t, h.lives.fault)
	t.Logf("%d turns", turns)
}

// TestSettledCallsCommute is what letting settled calls go first rests on: their
// owner does the same whether it hears of them before its other calls or after.
func TestSettledCallsCommute(t *testing.T) {
	h := searched(t, faulting)
	pairs := 0
	h.lives.each(func(m *moment) {
		for a := range m.after {
			for b := range m.after {
				if !couldBeSettled(m, a) || a.question == b.question || b.question == nil {
					continue
				}
				ab, ba := h.lives.both(t, m, a, b), h.lives.both(t, m, b, a)
				if ab == nil || ba == nil {
					continue
				}
				pairs++
				require.Equal(t, ab.questions, ba.questions, "%v, then %v", a.question, b.question)
				if !m.opening && !slices.ContainsFunc(ab.questions, (*question).holdsUp) { // else there is no fingerprint
					require.Same(t, ab, ba, "%v, then %v", a.question, b.question)
				}
			}
		}
	})
	require.NotZero(t, pairs)
	t.Logf("%d pairs", pairs)
}

func searched(t *testing.T, b Bounds) *hunt {
	h := newHunt(t, b)
	if underRace {
		h.most = fewStates
	}
	h.visit(newSituation())
	require.NoError(t, h.broken())
	return h
}

// couldBeSettled tells whether it may be the answer to a settled call.
func couldBeSettled(m *moment, what told) bool {
	if what.question == nil {
		return false
	}
	switch what.question.verb {
	case doAppend, doSwap:
		return what.failed == dead || what.failed == notOwner
	case doRaise:
		return what.failed == notOwner && !m.opening
	case doRecover:
		return what.failed == noReason || what.failed == faulty
	default:
		return false
	}
}

// both tells one thing and then another. It returns nil where the owner's content
// is to be read in between, which takes the whole situation.
func (s *lives) both(t *testing.T, m *moment, first, second told) *moment {
	next := s.tell(m, first).to
	if next.atOnce() != nil {
		return nil
	}
	require.Contains(t, next.questions, second.question, "after %v", first.question)
	return s.tell(next, second).to
}

// each calls f with all moments that there are.
func (s *lives) each(f func(*moment)) {
	seen := map[*moment]bool{}
	var todo []*moment
	for _, t := range s.begun {
		todo = append(todo, t.to)
	}
	for len(todo) > 0 {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[m] {
			continue
		}
		seen[m] = true
		for _, t := range m.after {
			todo = append(todo, t.to)
		}
	}
	for m := range seen {
		f(m)
	}
}
