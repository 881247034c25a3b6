package moves_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// An operator moves partitions about, one at a time, under load: producers and
// readers notice nothing but a pause, which is told.
func TestPlannedMovesUnderLoad(t *testing.T) {
	const partitions = 12
	moves := partitions
	if text := os.Getenv("TALOS_MOVES"); text != "" { // to measure
		var err error
		moves, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	eachStore(t, func(t *testing.T, c *cluster) {
		for _, id := range []string{"a", "b", "c"} {
			c.start(id)
		}
		topic := c.createTopic(partitions)
		c.awaitOwners("a", "b", "c")
		tr := startTraffic(t, c.nodes["a"].address)
		tr.awaitAcks(1000)
		asking := tr.askOffsets()
		var pauses, took []time.Duration
		for i := range moves {
			partition := int32(i % partitions)
			before := c.assignment().Owner(partition)
			to := map[string]string{"a": "b", "b": "c", "c": "a"}[before]
			began := time.Now()
			require.NoError(t, c.watching.Pin(t.Context(), topic.ID, func(p coordinator.Pins) { p[partition] = to }))
			c.await("the partition moves", func() bool { return c.assignment().Owner(partition) == to })
			moved := time.Now()
			tr.awaitAcks(500)
			pauses = append(pauses, tr.pause(partition, began, moved.Add(200*time.Millisecond)))
			took = append(took, moved.Sub(began))
		}
		asking()
		tr.finish()
		quantiles(t, "planned moves", pauses)
		quantiles(t, "from the pin to the next owner", took)
	})
}

// Nodes join, end in good order, come back and are lost, under load. The clients
// were told of the first node only.
func TestNodesComeAndGoUnderLoad(t *testing.T) {
	eachStore(t, func(t *testing.T, c *cluster) {
		c.start("a")
		topic := c.createTopic(12)
		tr := startTraffic(t, c.nodes["a"].address)
		tr.awaitAcks(1000)
		c.start("b")
		c.awaitOwners("a", "b")
		c.start("c")
		c.awaitOwners("a", "b", "c")
		tr.awaitAcks(1000)

		began := time.Now()
		c.stop("a") // it drains
		c.awaitOwners("b", "c")
		tr.awaitAcks(1000)
		var pauses []time.Duration
		for p := range topic.Partitions {
			pauses = append(pauses, tr.pause(p, began, time.Now()))
		}
		quantiles(t, "partitions while a third of them is drained", pauses)
		c.start("a")
		c.awaitOwners("a", "b", "c")

		// A restart keeps the assignment, and nothing moves.
		held := c.assignment().Owners
		require.NoError(t, c.watching.Restart(t.Context(), "b", time.Now().Add(time.Hour)))
		c.stop("b")
		c.await("b is away", func() bool { _, here := c.watching.View().Member("b"); return !here })
		require.Equal(t, held, c.assignment().Owners)
		owner := c.watching.View().Owner(talos.PartitionID{Topic: topic.ID, Number: firstOf(held, "b")})
		require.NotNil(t, owner.Restart)
		c.start("b")
		c.await("the mark is gone", func() bool { return len(c.watching.View().Marks()) == 0 })
		require.Equal(t, held, c.assignment().Owners)
		tr.awaitAcks(1000)

		// c loses its session without knowing why, and comes back.
		c.loseSession("c")
		c.await("c is registered again", func() bool { return c.nodes["c"].Ready() == nil })
		c.awaitOwners("a", "b", "c")
		tr.awaitAcks(1000)
		tr.finish()
	})
}

func firstOf(owners []string, id string) int32 {
	for p, owner := range owners {
		if owner == id {
			return int32(p)
		}
	}
	return -1
}
