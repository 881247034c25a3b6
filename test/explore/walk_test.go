package explore

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// farther is where searching everything would take too long: three owners and a
// restart that roll, trim, fail and crash several times.
var farther = Bounds{
	Owners: []string{"a", "b", "a", "c"}, Appends: []int{3, 2, 2, 3}, SegmentBytes: 1, Trim: true, Twice: true, Again: true, Back: true,
	Faults: 4, Late: 3, Crashes: 2,
}

// walksOfOneHunt is how many walks remember what owners did; with more, memory
// would grow without an end.
const walksOfOneHunt = 500

// TestRandomWalks goes farther, choosing at random. EXPLORE_SEED walks one way
// again.
func TestRandomWalks(t *testing.T) {
	walks, first := 2_000, rand.Uint64()
	switch {
	case underRace:
		walks = 100
	case os.Getenv("EXPLORE") == "long":
		walks = 60_000
	}
	if text := os.Getenv("EXPLORE_SEED"); text != "" {
		var err error
		first, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		walks = 1
	}
	steps := 0
	var h *hunt
	for i := range uint64(walks) {
		if i%walksOfOneHunt == 0 {
			h = newHunt(t, farther)
		}
		h.stroll(first + i)
		steps += len(h.way)
		require.NoError(t, h.broken(), "EXPLORE_SEED=%d", first+i)
	}
	t.Logf("%d walks from seed %d on, %d steps", walks, first, steps)
}

// stroll walks to the end, or to the first broken promise.
func (h *hunt) stroll(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	h.way = nil
	for w := newSituation(); !w.over && h.broken() == nil; {
		m := mostlyWell(h.moves(w), r)
		h.way = append(h.way, m)
		w = h.step(w, m)
	}
}

// mostlyWell picks a move; most of the time one by which things go on, so that
// the faults come after something has happened.
func mostlyWell(moves []move, r *rand.Rand) move {
	var well []move
	for _, m := range moves {
		if m.kind == callEnds && m.outcome == succeeds {
			well = append(well, m)
		}
	}
	if len(well) > 0 && r.IntN(20) > 0 {
		moves = well
	}
	return moves[r.IntN(len(moves))]
}
