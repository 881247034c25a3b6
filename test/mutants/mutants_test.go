package mutants

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachBrokenRuleIsNoticed(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, m := range slices.Concat(Protocol(), Syncs(), Objects()) {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			printed, err := m.Kill(t.Context(), root, t.TempDir())
			require.NoError(t, err, printed)
			t.Log(trace(printed))
		})
	}
}

// One after the other: each runs several nodes, for minutes. The last one stands
// for all, unless all are asked for: `make mutants`.
func TestEachBrokenNodeIsNoticed(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	nodes := Processes()
	if os.Getenv("TALOS_MUTANTS") != "all" {
		nodes = nodes[len(nodes)-1:]
	}
	for _, m := range nodes {
		t.Run(m.Name, func(t *testing.T) {
			printed, err := m.Kill(t.Context(), root, t.TempDir())
			require.NoError(t, err, printed)
			t.Log(table(printed))
		})
	}
}

// table picks the table of histories.
func table(printed string) string {
	_, after, _ := strings.Cut(printed, "SEED ")
	rows, _, _ := strings.Cut(after, "---")
	return "SEED " + rows
}

// trace picks what the test said of the mutant, and the steps that led to it.
func trace(printed string) string {
	_, after, found := strings.Cut(printed, "Error:")
	if !found {
		return printed
	}
	said, rest, _ := strings.Cut(after, "Test:")
	if _, steps, found := strings.Cut(rest, "Messages:"); found {
		steps, _, _ = strings.Cut(steps, "--- FAIL")
		said += steps
	}
	return said
}
