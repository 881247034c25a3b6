package explore

import (
	"fmt"
	"math/rand"
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

type search struct {
	name   string
	bounds Bounds
}

// searches lists what is gone through. The short ones are complete within about
// two minutes on a small machine, the long ones within hours.
func searches() []search {
	all := []search{
		{"two owners, one fault", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Faults: 1, Late: 1}},
		{"three owners", Bounds{Owners: []string{"a", "b", "c"}, Appends: []int{1, 1, 1}}},
		{"a restart", Bounds{Owners: []string{"a", "a"}, Appends: []int{2, 2}, Crashes: 1}},
		{"the partition comes back", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Faults: 1, Back: true}},
		{"each record sent twice", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Twice: true, Faults: 1}},
		{"an answer was lost", Bounds{Owners: []string{"a", "b", "c"}, Appends: []int{1, 1, 1}, Again: true}},
		{"rolling", Bounds{Owners: []string{"a", "b"}, Appends: []int{2, 2}, SegmentBytes: 1}},
		{"trimming", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true}},
		{"one in between only looks", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 0}, Faults: 1, Late: 1}},
		{"trimming, one fault", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Trim: true, Faults: 1}},
	}
	if os.Getenv("EXPLORE") != "long" {
		return all
	}
	return append(all,
		search{"three owners, one fault", Bounds{Owners: []string{"a", "b", "c"}, Appends: []int{1, 1, 1}, Faults: 1, Late: 1}},
		search{"two owners, two faults and a crash", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, Faults: 2, Late: 2, Crashes: 1}},
		search{"three owners that roll", Bounds{Owners: []string{"a", "b", "c"}, Appends: []int{2, 2, 2}, SegmentBytes: 1}},
		search{"rolling, one fault and a crash", Bounds{Owners: []string{"a", "b"}, Appends: []int{2, 2}, SegmentBytes: 1, Faults: 1, Late: 1, Crashes: 1}},
		search{"rolling and trimming, one fault", Bounds{Owners: []string{"a", "b"}, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true, Faults: 1, Late: 1}},
	)
}

// fewStates is how many states a search looks at where it would take too long.
const fewStates = 500

func TestNoInterleavingBreaksAPromise(t *testing.T) {
	most := 0
	if underRace {
		most = fewStates
	}
	for _, c := range searches() {
		t.Run(c.name, func(t *testing.T) {
			report, err := Search(t, c.bounds, most)
			t.Log(report)
			require.NoError(t, err)
			require.Equal(t, most == 0, report.Complete)
		})
	}
}

// TestTheSameChoicesLeadToTheSameState is what the search rests on: a way that is
// walked again leads to where it led before.
func TestTheSameChoicesLeadToTheSameState(t *testing.T) {
	b := Bounds{Owners: []string{"a", "b"}, Appends: []int{2, 2}, Trim: true, SegmentBytes: 1, Faults: 2, Late: 1, Crashes: 1}
	for seed := range int64(100) {
		first := walk(t, b, seed)
		require.Equal(t, first, walk(t, b, seed), "seed %d", seed)
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
