package schedule_test

import (
	"fmt"
	"testing"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

// big is 50 nodes with 100,000 partitions in 20 topics.
func big(b *testing.B) *cluster {
	c := newCluster()
	for i := range 50 {
		c.join(fmt.Sprintf("node-%02d", i))
	}
	for i := range 20 {
		c.topic(talos.TopicName(fmt.Sprintf("topic-%02d", i)), 5000)
	}
	c.settle(b)
	return c
}

func BenchmarkNext_NothingToDo(b *testing.B) {
	state := big(b).current()
	for b.Loop() {
		schedule.Next(state)
	}
}

// The whole way to the balance, as for a plan that is shown.
func BenchmarkNext_ANodeJoins(b *testing.B) {
	c := big(b)
	c.join("new")
	state := c.current()
	state.Limits.Moves = -1
	for b.Loop() {
		schedule.Next(state)
	}
}

func BenchmarkNext_ANodeCrashes(b *testing.B) {
	c := big(b)
	c.leave("node-07")
	state := c.current()
	for b.Loop() {
		schedule.Next(state)
	}
}

func BenchmarkNext_TheFirstPlacement(b *testing.B) {
	c := big(b)
	for _, t := range c.topics {
		clear(t.Owners)
	}
	state := c.current()
	for b.Loop() {
		schedule.Next(state)
	}
}

func BenchmarkEnd_ANodeDrains(b *testing.B) {
	c := big(b)
	c.member("node-07").Draining = true
	state := c.current()
	for b.Loop() {
		schedule.End(state)
	}
}
