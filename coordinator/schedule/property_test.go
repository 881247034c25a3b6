package schedule_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

// Whatever happens to a cluster: plans say sensible things on the way, and when
// nothing happens any more they come to rest with everything owned and balanced.
func TestProperty_ComesToRestBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster()
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			c.join("n" + strconv.Itoa(i))
		}
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			disturb(t, c)
			checkPlan(t, c)
		}
		for _, m := range slices.Clone(c.state.Members) {
			c.member(m.ID).Unfit = false
		}
		c.state.Now = c.state.Now.Add(time.Hour) // every hold is over
		clear(c.state.Loads)
		c.settle(t)
		checkRest(t, c)
	})
}

// disturb changes something.
func disturb(t *rapid.T, c *cluster) {
	anyone := func() string {
		return rapid.SampledFrom(c.state.Members).Draw(t, "node").ID
	}
	kinds := []string{"join", "topic", "wait", "handover"}
	if len(c.state.Members) > 0 {
		kinds = append(kinds, "crash", "restart", "drain", "uncordon", "unfit", "fit")
	}
	if len(c.topics) > 0 {
		kinds = append(kinds, "pin", "load")
	}
	somewhere := func() talos.PartitionID {
		topic := c.topics[rapid.SampledFrom(c.names()).Draw(t, "topic")]
		return talos.PartitionID{Topic: topic.ID, Number: rapid.Int32Range(0, topic.Partitions-1).Draw(t, "partition")}
	}
	switch rapid.SampledFrom(kinds).Draw(t, "event") {
	case "join":
		if id := "n" + strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "id")); !c.lives(id) {
			c.join(id)
		}
	case "topic":
		name := talos.TopicName(rapid.SampledFrom([]string{"t", "u"}).Draw(t, "name"))
		before := int32(0)
		if topic, ok := c.topics[name]; ok {
			before = topic.Partitions
		}
		c.topic(name, int(before)+rapid.IntRange(1, 30).Draw(t, "partitions"))
	case "wait":
		c.state.Now = c.state.Now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
	case "handover":
		c.handOver(rapid.IntRange(1, 20).Draw(t, "count"))
	case "crash":
		c.leave(anyone())
	case "restart":
		id := anyone()
		c.leave(id)
		c.state.Away[id] = c.state.Now.Add(time.Minute)
	case "drain":
		c.member(anyone()).Draining = true
	case "uncordon":
		c.member(anyone()).Draining = false
	case "unfit":
		c.member(anyone()).Unfit = true
	case "fit":
		c.member(anyone()).Unfit = false
	case "pin":
		c.state.Pins[somewhere()] = "n" + strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "pin"))
	case "load":
		c.state.Loads[somewhere()] = rapid.Float64Range(0, 1e8).Draw(t, "bytes")
	}
}

// checkPlan carries one plan out, and checks what holds for each.
func checkPlan(t *rapid.T, c *cluster) {
	before := c.current()
	under := make(map[talos.PartitionID]bool)
	for _, topic := range before.Topics {
		for n := range topic.Next {
			under[talos.PartitionID{Topic: topic.ID, Number: n}] = true
		}
	}
	want, plan := schedule.Next(before), c.plan()
	require.Equal(t, want, plan, "the same state has the same plan")
	seen := make(map[talos.PartitionID]bool)
	for _, step := range plan.Steps {
		require.False(t, seen[step.Partition], "two steps for %v", step.Partition)
		seen[step.Partition] = true
		require.NotEqual(t, step.From, step.To)
		if step.Kind != schedule.Cancel {
			require.True(t, c.lives(step.To), "a step to a node that is not there")
		}
		if step.Kind == schedule.Move {
			require.False(t, under[step.Partition], "a second move of %v", step.Partition)
		}
		if until, away := before.Away[step.From]; away && !c.lives(step.From) {
			require.False(t, before.Now.Before(until), "a partition moves while its owner restarts")
		}
	}
	to, from, all := make(map[string]int), make(map[string]int), 0
	for _, topic := range c.topics {
		for n, next := range topic.Next {
			to[next.To]++
			from[topic.Owners[n]]++
			all++
		}
	}
	require.LessOrEqual(t, all, schedule.DefaultMoves)
	for id := range to {
		require.LessOrEqual(t, to[id], schedule.DefaultNodeMoves)
	}
	for id := range from {
		require.LessOrEqual(t, from[id], schedule.DefaultNodeMoves)
	}
}

// checkRest checks what holds when there is nothing left to do.
func checkRest(t *rapid.T, c *cluster) {
	var takers []string
	for _, m := range c.state.Members {
		if !m.Draining {
			takers = append(takers, m.ID)
		}
	}
	if len(c.state.Members) == 0 {
		return
	}
	unpinned, total := make(map[string]int), make(map[string]int)
	for _, topic := range c.topics {
		require.Empty(t, topic.Next)
		for n, owner := range topic.Owners {
			require.True(t, c.lives(owner), "%s/%d has no owner that lives", topic.Name, n)
			if len(takers) == 0 {
				continue
			}
			require.Contains(t, takers, owner, "a draining node has %s/%d", topic.Name, n)
			pin := c.state.Pins[talos.PartitionID{Topic: topic.ID, Number: int32(n)}] //nolint:gosec // small
			total[owner]++
			if slices.Contains(takers, pin) {
				require.Equal(t, pin, owner, "a pin does not hold")
			} else {
				unpinned[owner]++
			}
		}
	}
	for _, a := range takers {
		for _, b := range takers {
			if unpinned[a] > 0 {
				require.LessOrEqual(t, total[a], total[b]+1, "%s has too many: %s", a, c.show())
			}
		}
	}
}

// What a change of membership moves is the least that restores the balance: the
// share of the node that joins, or what the one that left had.
func TestProperty_AChangeOfMembershipMovesTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster()
		nodes, partitions := rapid.IntRange(1, 20).Draw(t, "nodes"), rapid.IntRange(1, 1000).Draw(t, "partitions")
		for i := range nodes {
			c.join(fmt.Sprintf("n%02d", i))
		}
		c.topic("t", partitions)
		c.settle(t)
		had := func(id string) (n int) {
			for _, owner := range c.topics["t"].Owners {
				if owner == id {
					n++
				}
			}
			return n
		}

		c.join("new")
		moved := len(c.settle(t))
		require.Equal(t, had("new"), moved)
		require.Equal(t, partitions/(nodes+1), moved)

		gone := rapid.SampledFrom(c.state.Members).Draw(t, "gone").ID
		lost := had(gone)
		c.leave(gone)
		require.Len(t, c.settle(t), lost)
	})
}

// However loads jump about, they make at most one exchange, of two partitions, in
// a period.
func TestProperty_LoadCausesNoStorm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster()
		for i := range rapid.IntRange(2, 6).Draw(t, "nodes") {
			c.join("n" + strconv.Itoa(i))
		}
		c.topic("t", rapid.IntRange(2, 60).Draw(t, "partitions"))
		c.settle(t)
		moved := 0
		const periods = 5
		for range periods * 6 {
			for range 10 {
				n := rapid.Int32Range(0, c.topics["t"].Partitions-1).Draw(t, "partition")
				c.state.Loads[talos.PartitionID{Topic: c.topics["t"].ID, Number: n}] = rapid.Float64Range(0, 1e9).Draw(t, "bytes")
			}
			moved += len(c.settle(t))
			c.state.Now = c.state.Now.Add(schedule.DefaultLoadPeriod / 6)
		}
		require.LessOrEqual(t, moved, 2*periods)
	})
}

// What End says is where the plans lead, step by step, if the loads stay as they are.
func TestProperty_EndIsWherePlansLead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster()
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			c.join("n" + strconv.Itoa(i))
		}
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			disturb(t, c)
		}
		c.settle(t)
		for range rapid.IntRange(1, 3).Draw(t, "more events") {
			disturb(t, c)
		}
		c.state.Now = c.state.Now.Add(time.Hour) // every hold is over
		ends := schedule.End(c.current())
		before := c.owners()
		for _, step := range ends {
			require.Equal(t, before[step.Partition], step.From)
			require.NotEqual(t, step.From, step.To)
			before[step.Partition] = step.To
		}
		for range 200 {
			c.settle(t)
			c.state.Now = c.state.Now.Add(schedule.DefaultLoadPeriod)
		}
		counts, ended := make(map[string]int), make(map[string]int)
		for id, owner := range c.owners() {
			counts[owner]++
			ended[before[id]]++
			if pin := c.state.Pins[id]; owner == pin {
				require.Equal(t, pin, before[id])
			}
		}
		require.Equal(t, sorted(counts), sorted(ended))
	})
}

func (c *cluster) owners() map[talos.PartitionID]string {
	owners := make(map[talos.PartitionID]string)
	for _, t := range c.topics {
		for n, owner := range t.Owners {
			owners[talos.PartitionID{Topic: t.ID, Number: int32(n)}] = owner //nolint:gosec // small
		}
	}
	return owners
}

func sorted(counts map[string]int) []int { return slices.Sorted(maps.Values(counts)) }
