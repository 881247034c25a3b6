package simulate

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// simulate runs one history.
func simulate(t *testing.T, cfg Config) (r Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		r, err = Run(t.Context(), cfg)
		require.NoError(t, err)
	})
	return r
}

// environment returns a number that the environment sets, or another one.
func environment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// In an ordinary run of the tests there are 50 histories. SIMULATE_HISTORIES sets
// another number, SIMULATE_SECONDS a time instead, SIMULATE_SEED where the seeds
// begin; with SIMULATE_LOG=1 the hosts' logs are shown.
func TestSimulatedHistoriesAreSound(t *testing.T) {
	seconds := environment(t, "SIMULATE_SECONDS", 0)
	first, histories := environment(t, "SIMULATE_SEED", 1), environment(t, "SIMULATE_HISTORIES", 50)
	var (
		mu   sync.Mutex // guards the fields below
		next = first
		acks int
		sum  = make(map[string]int)
	)
	began := time.Now()
	take := func() (seed int, more bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		more = next-1 < first+histories
		if seconds > 0 {
			more = time.Since(began) < time.Duration(seconds)*time.Second
		}
		if !more {
			next--
		}
		return next - 1, more
	}
	note := func(r Result) {
		mu.Lock()
		defer mu.Unlock()
		acks += r.Acks
		for what, n := range r.Counts {
			sum[what] += n
		}
	}
	t.Run("side by side", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for seed, more := take(); more; seed, more = take() {
					r := simulate(t, Config{Seed: uint64(seed), Logger: logger(t)}) //nolint:gosec // it is one
					require.Empty(t, r.Anomalies, "SIMULATE_SEED=%d: %v\n%s", seed, r.Counts, strings.Join(r.Anomalies, "\n"))
					require.GreaterOrEqual(t, r.Acks, 1000, "seed %d", seed)
					require.GreaterOrEqual(t, r.Faults(), 3, "seed %d", seed)
					note(r)
				}
			})
		}
	})
	took, done := time.Since(began), next-first
	t.Logf("%d histories, %d acknowledged records, in %v: %.0f histories a minute", done, acks, took.Round(time.Millisecond),
		float64(done)/took.Minutes())
	if done >= 50 {
		for _, what := range append(noFaults, "unfit") {
			require.Positive(t, sum[what], what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(sum)) {
		t.Logf("%7d %s", sum[what], what)
	}
}

// logger returns the one that the environment asks for, or nil.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("SIMULATE_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// Each mutant is caught within so many histories.
func TestSimulationCatchesMutants(t *testing.T) {
	for name, c := range map[string]struct {
		mutant Mutant
		within uint64
	}{
		"without fencing":         {NoFencing, 400},
		"without a lease margin":  {NoLeaseMargin, 50},
		"without de-duplication":  {NoDeduplication, 20},
		"without clients' epochs": {IgnoresEpochs, 400},
		"without a second word":   {SaysOnce, 100},
		"with topics uncounted":   {CountsBefore, 20},
		"with trims too far":      {TrimsMore, 20},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= c.within; seed++ {
				if r := simulate(t, Config{Seed: seed, Mutant: c.mutant}); len(r.Anomalies) > 0 {
					t.Logf("caught by history %d, with %d anomalies: %s", seed, len(r.Anomalies), r.Anomalies[0])
					return
				}
			}
			require.Fail(t, fmt.Sprintf("not caught by %d histories", c.within))
		})
	}
}
