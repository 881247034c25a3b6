package chaos_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/chaos"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/scene"
)

// Each case has a test that exists, or says why it has none.
func TestEachCaseHasATest(t *testing.T) {
	var numbers []int
	var faults []string
	for _, f := range chaos.Faults() {
		faults = append(faults, f.Name)
	}
	for _, c := range chaos.Cases() {
		numbers = append(numbers, c.Number)
		require.NotEmpty(t, c.What)
		require.True(t, len(c.Tests) > 0 || c.NotYet != "", "T%d has no test, and no reason", c.Number)
		for _, name := range c.Tests {
			require.True(t, exists(t, name), "T%d: there is no test %s", c.Number, name)
		}
		for _, name := range c.Faults {
			require.Contains(t, faults, name, "T%d", c.Number)
		}
	}
	slices.Sort(numbers)
	for i, number := range numbers {
		require.Equal(t, i+1, number)
	}
	require.Len(t, numbers, 19)
}

// exists looks for a test, "folder.TestName".
func exists(t *testing.T, name string) bool {
	t.Helper()
	folder, test, _ := strings.Cut(name, ".")
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}

// T8: a cluster in which nothing breaks is checked as well.
func TestT8AHistoryWithoutFaults(t *testing.T) {
	w := chaos.New(t, chaos.Config{Program: &instrumented, Store: chaos.Local}, rand.New(rand.NewPCG(1, 0)))
	w.Use(load.Plan{Codecs: scene.Codecs(), Plain: 2, Window: 256})
	w.Scene.Await("too little is acknowledged", func() bool { return w.History.Acks() >= 5000 })
	require.Empty(t, w.Judge())
}
