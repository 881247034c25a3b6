package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/chaos"
)

// What a run is told through the environment.
const (
	// historiesEnv is how many histories each store has.
	historiesEnv = "TALOS_CHAOS_HISTORIES"
	// storesEnv names the stores, with commas between them.
	storesEnv = "TALOS_CHAOS_STORE"
	// faultsEnv names the faults to choose from, with commas between them.
	faultsEnv = "TALOS_CHAOS_FAULTS"
	// seedEnv is the first history's seed; the others follow it.
	seedEnv = "TALOS_SEED"
	// stopEnv ends the run after the first history that fails.
	stopEnv = "TALOS_CHAOS_STOP"
	// reportEnv is a file that the table is appended to.
	reportEnv = "TALOS_CHAOS_REPORT"
)

// TestHistories plays histories with faults that seeds choose. Each must go to its
// end, count, and have no anomaly.
func TestHistories(t *testing.T) {
	count := number(t, historiesEnv, 1)
	seed := uint64(number(t, seedEnv, int(rand.Uint32())))
	t.Logf("%s=%d", seedEnv, seed)
	var all []*chaos.Outcome
	defer func() { report(t, all) }()
	for _, store := range stores(t) {
		for i := range count {
			if t.Failed() && os.Getenv(stopEnv) != "" {
				return
			}
			out := &chaos.Outcome{}
			all = append(all, out)
			seed := seed + uint64(i)
			t.Run(fmt.Sprintf("%s/%d", store, seed), func(t *testing.T) {
				chaos.Run(t, chaos.Config{Program: &instrumented, Store: store}, seed, faults(t), out)
				t.Log(out.Report())
				require.Empty(t, out.Anomalies)
				require.True(t, out.Counts(), "the history does not count")
			})
		}
	}
}

func report(t *testing.T, all []*chaos.Outcome) {
	t.Helper()
	var text strings.Builder
	require.NoError(t, chaos.WriteTable(&text, all))
	t.Log("\n" + text.String())
	if path := os.Getenv(reportEnv); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

func stores(t *testing.T) []chaos.StoreKind {
	t.Helper()
	known := []chaos.StoreKind{chaos.Local, chaos.S3, chaos.HDFS}
	text := os.Getenv(storesEnv)
	if text == "" {
		return known
	}
	var chosen []chaos.StoreKind
	for name := range strings.SplitSeq(text, ",") {
		require.Contains(t, known, chaos.StoreKind(name))
		chosen = append(chosen, chaos.StoreKind(name))
	}
	return chosen
}

func faults(t *testing.T) []chaos.Fault {
	t.Helper()
	known := chaos.Faults()
	text := os.Getenv(faultsEnv)
	if text == "" {
		return known
	}
	var chosen []chaos.Fault
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(known, func(f chaos.Fault) bool { return f.Name == name })
		require.GreaterOrEqual(t, i, 0, "there is no fault %q", name)
		chosen = append(chosen, known[i])
	}
	return chosen
}
