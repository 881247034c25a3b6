package leases

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// bounds keep a search finite.
type bounds struct {
	// deviations is how many choices of a run differ from the oldest first.
	deviations int
	// runs is how many there are at most.
	runs int
}

// report is what a search did.
type report struct {
	runs, steps int
	complete    bool
}

// search goes through the runs, and returns what one has broken, with its way.
func search(t *testing.T, c scene, b bounds) (report, error) {
	t.Helper()
	// next are choices that have not been played; the last are played first.
	next, done := [][]int{nil}, report{complete: true}
	for len(next) > 0 {
		if done.runs == b.runs {
			done.complete = false
			break
		}
		choices := next[len(next)-1]
		next = next[:len(next)-1]
		var widths []int
		var r *run
		synctest.Test(t, func(*testing.T) { widths, r = play(c, choices) })
		done.runs++
		done.steps += len(widths)
		if r.broken != nil {
			return done, fmt.Errorf("%w, by\n  %s", r.broken, strings.Join(r.way, "\n  "))
		}
		if deviations(choices) == b.deviations {
			continue
		}
		for step := len(choices); step < len(widths); step++ {
			for other := 1; other < widths[step]; other++ {
				next = append(next, append(append(append([]int(nil), choices...), make([]int, step-len(choices))...), other))
			}
		}
	}
	return done, nil
}

func deviations(choices []int) int {
	n := 0
	for _, c := range choices {
		if c != 0 {
			n++
		}
	}
	return n
}
