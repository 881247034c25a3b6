package upgrade_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
)

const (
	topic      = talos.TopicName("logs")
	partitions = 6
	// patience bounds each thing that a test waits for.
	patience = 2 * time.Minute
	tick     = 10 * time.Millisecond
)

// present and next are N and N+1.
var (
	present = process.Builder{Version: "v1.0.0"}
	next    = process.Builder{Version: "v1.1.0"}
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := errors.Join(present.Remove(), next.Remove()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// The partitions of the node that ends go to the others, and its share comes back.
func TestARollingUpgradeLosesNothing(t *testing.T) {
	c := start(t)
	tr := startTraffic(t, c.addresses())
	for i := range c.nodes {
		c.upgrade(i)
		c.awaitEvenOwners()
		tr.awaitAcks()
	}
	c.requireVersions(next.Version, next.Version, next.Version)
	tr.finish()
}

// With `talos node restart` the partitions wait for their node: nothing moves.
func TestARollingUpgradeWithoutMovesLosesNothing(t *testing.T) {
	c := start(t)
	tr := startTraffic(t, c.addresses())
	for i := range c.nodes {
		require.NoError(t, c.client.Restart(t.Context(), c.id(i), patience))
		before := c.owners()
		c.upgrade(i)
		c.awaitEvenOwners()
		require.Equal(t, before, c.owners())
		tr.awaitAcks()
		if i == 0 {
			c.requireVersions(next.Version, present.Version, present.Version)
		}
	}
	c.requireVersions(next.Version, next.Version, next.Version)
	tr.finish()
}
