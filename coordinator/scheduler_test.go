package coordinator_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

// scheduling registers a node, and lets it take part in the election until the
// test ends.
func scheduling(t *testing.T, kv coordinator.KV, id string) *coordinator.Meta {
	t.Helper()
	m := registered(t, kv, id)
	schedule(t, m)
	return m
}

func schedule(t *testing.T, m *coordinator.Meta) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Schedule(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// awaitOwners waits until exactly these nodes own the topic's partitions, and
// nothing moves; each move is handed over as the owner would.
func awaitOwners(t *testing.T, m *coordinator.Meta, topic talos.TopicID, want []string, owners ...*coordinator.Meta) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, o := range owners {
			// Its session may just have ended.
			_ = o.Release(t.Context(), topic, []int32{0, 1, 2, 3})
		}
		a := m.View().Assignment(topic)
		return len(a.Next) == 0 && slices.Equal(want, slices.Compact(slices.Sorted(slices.Values(a.Owners))))
	}, patience, time.Millisecond)
}

func TestSchedule_OneNodePlansAndAnotherGoesOn(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		watcher := openMeta(t, open(), "w")
		a := scheduling(t, open(), "a")
		require.Eventually(t, func() bool { return watcher.View().Scheduler() == "a" }, patience, time.Millisecond)
		b := scheduling(t, open(), "b")
		logs := newTopic("logs")
		require.NoError(t, watcher.CreateTopic(t.Context(), logs, nil))
		awaitOwners(t, watcher, logs.ID, []string{"a", "b"}, a, b)
		require.Equal(t, "a", watcher.View().Scheduler())

		a.Close()
		awaitOwners(t, watcher, logs.ID, []string{"b"})
		require.Eventually(t, func() bool { return watcher.View().Scheduler() == "b" }, patience, time.Millisecond)
	})
}

// A node that joins gets some, and one that drains gives all away, by hand-overs.
func TestSchedule_JoinAndDrain(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		a := scheduling(t, open(), "a")
		logs := newTopic("logs")
		require.NoError(t, a.CreateTopic(t.Context(), logs, nil))
		awaitOwners(t, a, logs.ID, []string{"a"})
		b := scheduling(t, open(), "b")
		awaitOwners(t, b, logs.ID, []string{"a", "b"}, a)
		require.NoError(t, b.Drain(t.Context(), "a"))
		awaitOwners(t, b, logs.ID, []string{"b"}, a)
		require.NoError(t, b.Uncordon(t.Context(), "a"))
		awaitOwners(t, b, logs.ID, []string{"a", "b"}, b)
	})
}

// While a node is away for a restart it keeps its partitions, also through another
// scheduler; when it does not come back they go, and so does its mark.
func TestSchedule_ARestartHoldsThePartitions(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		a := scheduling(t, open(), "a")
		logs := newTopic("logs")
		require.NoError(t, a.CreateTopic(t.Context(), logs, nil))
		awaitOwners(t, a, logs.ID, []string{"a"})
		require.NoError(t, a.Restart(t.Context(), "a", time.Now().Add(time.Hour)))
		a.Close()
		b := scheduling(t, open(), "b")
		more := newTopic("more")
		require.NoError(t, b.CreateTopic(t.Context(), more, nil))
		awaitOwners(t, b, more.ID, []string{"b"})
		require.Equal(t, []string{"a", "a", "a", "a"}, b.View().Assignment(logs.ID).Owners)
		require.NotNil(t, b.View().Owner(talos.PartitionID{Topic: logs.ID}).Restart)

		require.NoError(t, b.Restart(t.Context(), "a", time.Now().Add(-time.Second)))
		awaitOwners(t, b, logs.ID, []string{"b"})
		require.Eventually(t, func() bool { return len(b.View().Marks()) == 0 }, patience, time.Millisecond)
	})
}

// A plan rests on what was seen: when a topic was deleted, or somebody else was
// elected in between, nothing is written.
func TestSchedule_WritesUnderItsElectionOnly(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := &between{KV: open()}
		a := registered(t, kv, "a")
		other := openMeta(t, open(), "b")
		logs := newTopic("logs")
		require.NoError(t, a.CreateTopic(t.Context(), logs, nil))
		elected := make(chan struct{})
		kv.beforeCommit = func() { // of the election
			kv.beforeCommit = func() { // of the first plan
				defer close(elected)
				_, err := other.DeleteTopic(t.Context(), "logs")
				require.NoError(t, err)
			}
		}
		schedule(t, a)
		awaitClosed(t, elected, "the scheduler plans")
		more := newTopic("more")
		require.NoError(t, other.CreateTopic(t.Context(), more, nil))
		awaitOwners(t, other, more.ID, []string{"a"})
		require.Equal(t, []string{"/talos/v1/view/assignments/" + more.ID.String()}, list(t, kv, "/talos/v1/view/assignments/"))
	})
}

func TestSchedule_PinsAndLoadsReachThePlan(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		a, b := scheduling(t, open(), "a"), scheduling(t, open(), "b")
		logs := newTopic("logs")
		require.NoError(t, a.CreateTopic(t.Context(), logs, nil))
		awaitOwners(t, a, logs.ID, []string{"a", "b"}, a, b)
		require.NoError(t, a.Pin(t.Context(), logs.ID, func(p coordinator.Pins) {
			for n := range logs.Partitions {
				p[n] = "b"
			}
		}))
		awaitOwners(t, a, logs.ID, []string{"b"}, a)
		require.NoError(t, b.ReportLoad(t.Context(), coordinator.Load{
			Partitions: []coordinator.PartitionLoad{{Topic: logs.ID, Partition: 1, BytesPerSecond: 5}}, BytesPerSecond: 5,
		}))
		require.Eventually(t, func() bool {
			return a.View().State(time.Now()).Loads[talos.PartitionID{Topic: logs.ID, Number: 1}] == 5
		}, patience, time.Millisecond)
		require.NoError(t, a.Pin(t.Context(), logs.ID, func(p coordinator.Pins) { clear(p) }))
		require.Empty(t, a.View().Pins(logs.ID))
	})
}

// What a node says of itself changes its registration, also if the answer is lost: it
// does not wait to be elected until it says something again.
func TestSchedule_IsElectedThoughAnAnswerOfSetUnfitWasLost(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := registered(t, kv, "a")
	kv.failCommits(lostReply, 1)
	require.ErrorIs(t, m.SetUnfit(t.Context(), "no store"), talos.MetaUnavailable)
	schedule(t, m)
	require.Eventually(t, func() bool { return m.View().Scheduler() == "a" }, patience, time.Millisecond)
}
