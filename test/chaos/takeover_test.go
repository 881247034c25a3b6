package chaos_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/chaos"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/scene"
)

// roundsEnv is how often a node is killed for the figures.
const roundsEnv = "TALOS_CHAOS_ROUNDS"

// One of three nodes is killed under load: the others serve its partitions once its
// lease is over. How long that takes is in the log; it is no assertion.
func TestTheOthersServeWhatAKilledNodeOwned(t *testing.T) {
	const lease, partitions = 3 * time.Second, 60
	rounds := number(t, roundsEnv, 1)
	where := []chaos.StoreKind{chaos.Local}
	if os.Getenv(storesEnv) != "" {
		where = stores(t)
	}
	for _, store := range where {
		t.Run(string(store), func(t *testing.T) {
			w := chaos.New(t, chaos.Config{Program: &instrumented, Store: store, Partitions: partitions, Lease: lease},
				rand.New(rand.NewPCG(rand.Uint64(), 0)))
			w.Use(load.Plan{Codecs: scene.Codecs(), Window: 1000, Rate: 40})
			var all []time.Duration
			for range rounds {
				owned, took := w.Takeover()
				all = append(all, took.Round(10*time.Millisecond))
				t.Logf("a node with %d of %d partitions was killed: all served %v later, its lease is %v", owned, partitions, took.Round(10*time.Millisecond), lease)
			}
			slices.Sort(all)
			t.Logf("%s: median %v, longest %v of %d", store, all[len(all)/2], all[len(all)-1], len(all))
			require.Empty(t, w.Judge())
		})
	}
}
