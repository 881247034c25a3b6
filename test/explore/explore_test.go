package explore

import (
	"fmt"
	"math/rand"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestNoInterleavingBreaksAPromise(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounds Bounds
		// most is how many states are looked at; 0 means all of them.
		most int
	}{
		{"two owners, one fault", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Faults: 1, Late: 1}, 0},
		{"three owners", Bounds{Owners: []string{"a", "b", "c"}, Appends: []int{1, 1, 1}}, 0},
		{"a restart", Bounds{Owners: []string{"a", "a"}, Appends: []int{2, 2}, Crashes: 1}, 0},
		{"the partition comes back", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Faults: 1, Back: true}, 0},
		{"each record sent twice", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Twice: true, Faults: 1}, 0},
		{"rolling", Bounds{Owners: []string{"a", "b"}, Appends: []int{2, 2}, SegmentBytes: 1}, 0},
		{"trimming", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true}, 0},
		{"one in between only looks", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 0}, Faults: 1, Late: 1}, 0},
		{"trimming, one fault", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Trim: true, Faults: 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := Search(t, c.bounds, c.most)
			t.Log(report)
			require.NoError(t, err)
		})
	}
}

// TestTheSameChoicesLeadToTheSameState is what the search rests on: a way that is
// walked again leads to where it led before.
func TestTheSameChoicesLeadToTheSameState(t *testing.T) {
	b := Bounds{Owners: []string{"a", "b"}, Appends: []int{2, 2}, Trim: true, SegmentBytes: 1, Faults: 2, Late: 1, Crashes: 1}
	for seed := range int64(100) {
		require.Equal(t, walk(t, b, seed), walk(t, b, seed), "seed %d", seed)
	}
}

// walk chooses at random and returns what could be chosen at each step.
func walk(t *testing.T, b Bounds, seed int64) (trace []string) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(b)
		defer w.close()
		r := rand.New(rand.NewSource(seed))
		for !w.over {
			synctest.Wait()
			w.check()
			choices := w.choices()
			for _, c := range choices {
				trace = append(trace, c.text)
			}
			pick := r.Intn(len(choices))
			trace = append(trace, fmt.Sprintf("%d: %x", pick, w.key()))
			choices[pick].do()
		}
	})
	return trace
}
