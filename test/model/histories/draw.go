// Package histories draws random histories of one partition over a store, and holds
// each against the model (test/model). It is what the tests of all stores share.
package histories

import (
	"flag"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/test/model"
	"pgregory.net/rapid"
)

// Kind is a store that histories are drawn over.
type Kind struct {
	Name string
	// Virtual says that it runs in a synctest bubble, so that minutes pass at once
	// and a step is taken only when nothing moves anymore. Otherwise steps and all
	// that they cause run at the same time, which finds other things.
	Virtual bool
	// Open returns an empty store, and what removes it again.
	Open func(require.TestingT) (storage.Store, func())
}

// Draw draws histories, and logs what they covered.
func Draw(t *testing.T, k Kind) {
	t.Helper()
	covered := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		history := func(rt *rapid.T) { run(rt, k, covered) }
		if k.Virtual {
			rapid.SyncTest(rt, history)
		} else {
			history(rt)
		}
	})
	t.Logf("covered:\n%s", model.Report(covered))
}

// DrawFewer draws so many times fewer histories, for a slow store. No other
// test of the binary may draw at the same time.
func DrawFewer(t *testing.T, k Kind, slower int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	all := checks.Value.String()
	n, err := strconv.Atoi(all)
	require.NoError(t, err)
	require.NoError(t, checks.Value.Set(strconv.Itoa(max(n/slower, 1))))
	defer func() { require.NoError(t, checks.Value.Set(all)) }()
	Draw(t, k)
}
