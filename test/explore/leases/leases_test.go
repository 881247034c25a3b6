package leases

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// first makes the one node the first owner of the partition, or the other: the first
// scheduler, by default, or not.
var first = map[string]talos.TopicID{"the scheduler's": {15: 1}, "another's": {15: 2}}

// scenes are whose session ends, and which node is the owner then.
func scenes(m mutant) map[string]scene {
	all := make(map[string]scene)
	for owner, topic := range first {
		all[fmt.Sprintf("the owner's session ends, the partition is %s", owner)] = scene{m, topic, false}
		all[fmt.Sprintf("the scheduler's session ends, the partition is %s", owner)] = scene{m, topic, true}
	}
	return all
}

func TestNoOrderBreaksAPromise(t *testing.T) {
	b := bounds{deviations: 2, runs: 20_000}
	switch {
	case underRace:
		b.deviations = 1
	case os.Getenv("EXPLORE") == "long":
		b = bounds{deviations: 3, runs: 200_000}
	}
	for name, c := range scenes(sound) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, err := search(t, c, b)
			t.Logf("%d runs of at most %d deviations, complete: %v, %d steps", done.runs, b.deviations, done.complete, done.steps)
			require.NoError(t, err)
			require.True(t, done.complete || b.deviations > 2)
		})
	}
}
