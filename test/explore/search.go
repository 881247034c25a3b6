package explore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// Report says what a search has covered.
type Report struct {
	States, Runs, Steps, Longest int
	// Complete is false if MaxStates ended it.
	Complete bool
}

// String is for the test's output.
func (r Report) String() string {
	return fmt.Sprintf("%d states, %d runs, %d steps, longest run %d steps, complete: %v", r.States, r.Runs, r.Steps, r.Longest, r.Complete)
}

// Search goes through all runs within the bounds, depth first, and returns the
// first broken promise with the steps that led to it. It ends early once it has
// seen maxStates states; 0 is no limit.
func Search(t *testing.T, b Bounds, maxStates int) (Report, error) {
	seen := map[[32]byte]struct{}{}
	// Each entry is a way to a state: the number of the choice at each step.
	todo := [][]uint8{nil}
	report := Report{Complete: true}
	for len(todo) > 0 {
		if maxStates > 0 && len(seen) >= maxStates {
			report.Complete = false
			break
		}
		way := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var r run
		synctest.Test(t, func(*testing.T) { r = follow(b, way, seen) })
		todo = append(todo, r.branches...)
		report.Runs++
		report.Steps += len(r.trace)
		report.Longest = max(report.Longest, len(r.trace))
		if r.fault != nil {
			report.States = len(seen)
			return report, fmt.Errorf("%w, after:\n  %s", r.fault, strings.Join(r.trace, "\n  "))
		}
	}
	report.States = len(seen)
	return report, nil
}

// run is what one walk has found.
type run struct {
	branches [][]uint8
	trace    []string
	fault    error
}

// follow walks the way, and from its end on always takes the first choice until
// nothing can happen or the state is a known one; what it did not take are its
// branches.
func follow(b Bounds, way []uint8, seen map[[32]byte]struct{}) (r run) {
	w := newWorld(b)
	defer w.close()
	for step := 0; ; step++ {
		synctest.Wait()
		w.check()
		if r.fault = w.history.fault; r.fault != nil || w.over {
			return r
		}
		choices := w.choices()
		pick := uint8(0)
		if step < len(way) {
			pick = way[step]
		} else {
			key := w.key()
			if _, known := seen[key]; known {
				return r
			}
			seen[key] = struct{}{}
			for i := len(choices) - 1; i > 0; i-- {
				r.branches = append(r.branches, slices.Concat(way[:step], []uint8{uint8(i)}))
			}
			way = append(way[:step:step], 0)
		}
		if int(pick) >= len(choices) {
			r.fault = fmt.Errorf("not deterministic: choice %d of %d", pick, len(choices))
			return r
		}
		r.trace = append(r.trace, choices[pick].text)
		choices[pick].do()
	}
}
