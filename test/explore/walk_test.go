package explore

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestRandomWalks goes where searching everything would take too long: three
// owners and a restart that roll, trim, fail and crash several times, chosen at
// random. EXPLORE_SEED walks one way again.
func TestRandomWalks(t *testing.T) {
	b := Bounds{
		Owners: []string{"a", "b", "a", "c"}, Appends: []int{3, 2, 2, 3}, SegmentBytes: 1, Trim: true, Twice: true, Again: true, Back: true,
		Faults: 4, Late: 3, Crashes: 2,
	}
	walks, first := 3_000, rand.Uint64()
	switch {
	case underRace:
		walks = 100
	case os.Getenv("EXPLORE") == "long":
		walks = 2_000_000
	}
	if text := os.Getenv("EXPLORE_SEED"); text != "" {
		var err error
		first, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		walks = 1
	}
	steps := 0
	for i := range uint64(walks) {
		seed := first + i
		w, trace := stroll(t, b, seed)
		steps += len(trace)
		require.NoError(t, w.history.fault, "EXPLORE_SEED=%d, after:\n  %s", seed, strings.Join(trace, "\n  "))
	}
	t.Logf("%d walks from seed %d on, %d steps", walks, first, steps)
}

// mostlyWell picks a choice; most of the time one by which things go on, so that
// the faults come after something has happened.
func mostlyWell(choices []choice, r *rand.Rand) choice {
	var well []choice
	for _, c := range choices {
		if strings.HasSuffix(c.text, string(succeeds)) {
			well = append(well, c)
		}
	}
	if len(well) > 0 && r.IntN(20) > 0 {
		choices = well
	}
	return choices[r.IntN(len(choices))]
}

// stroll walks to the end, or to the first broken promise.
func stroll(t *testing.T, b Bounds, seed uint64) (w *world, trace []string) {
	synctest.Test(t, func(*testing.T) {
		w = newWorld(b)
		defer w.close()
		r := rand.New(rand.NewPCG(seed, 0))
		for {
			synctest.Wait()
			w.check()
			if w.over || w.history.fault != nil {
				return
			}
			pick := mostlyWell(w.choices(), r)
			trace = append(trace, pick.text)
			pick.do()
		}
	})
	return w, trace
}
