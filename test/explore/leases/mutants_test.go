//go:build !race

package leases

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Without the race detector, as in `make explore`: what it would watch here is what it
// watches in the runs of the sound code, and it makes these ten times slower.
func TestMutantsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		mutant
		want string
	}{
		"without fencing":  {noFencing, "was acknowledged at"},
		"without election": {noElection, "changed the assignment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := false
			for _, c2 := range scenes(c.mutant) {
				if _, err := search(t, c2, bounds{deviations: 1, runs: 1000}); err != nil {
					require.ErrorContains(t, err, c.want)
					found = true
				}
			}
			require.True(t, found)
		})
	}
}
