package hdfs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/scene"
)

const (
	// settled is how many records are acknowledged until a pause counts as over.
	settled = 200
	// pauseLimit bounds a pause where a DataNode fails, on a busy machine. It is no
	// measurement: the figures are in the test's log.
	pauseLimit = 30 * time.Second
)

// A DataNode dies in mid-append, over and over: the node goes on with the others
// at once, and with three again when it is back.
func TestADataNodeDiesInMidAppend(t *testing.T) {
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster.StoreForTest(t), 2, talos.TopicConfig{})
	follower := s.Follow()
	producers := produce(s)

	var pauses, usual []time.Duration
	for range hadoop.Rounds(3, 20) {
		awaitAllReplicas(s, cluster)
		begun := time.Now()
		s.AwaitNewAcks(s.History.Now(), settled+rng.IntN(settled))
		victim := cluster.DataNodes()[rng.IntN(3)]
		killed := time.Now()
		since := s.History.Now()
		victim.Kill(t)
		s.AwaitNewAcks(since, settled)
		pauses = append(pauses, s.History.LongestPause(killed, time.Now()))
		usual = append(usual, s.History.LongestPause(begun, killed))
		victim.Start(t)
	}
	logPauses(t, "a DataNode was killed", pauses)
	logPauses(t, "before that", usual)
	s.Finish(producers, follower)
	require.Less(t, slices.Max(pauses), pauseLimit)
}

// A DataNode that is stopped says nothing, and the node goes on without it.
func TestADataNodeIsStoppedInMidAppend(t *testing.T) {
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster.StoreForTest(t), 2, talos.TopicConfig{})
	follower := s.Follow()
	producers := produce(s)
	s.AwaitNewAcks(s.History.Now(), settled)

	victim := cluster.DataNodes()[rng.IntN(3)]
	stopped := time.Now()
	since := s.History.Now()
	victim.Stop(t)
	s.AwaitNewAcks(since, settled)
	pause := s.History.LongestPause(stopped, time.Now())
	t.Logf("a DataNode was stopped: the longest pause was %v", pause.Round(time.Millisecond))
	victim.Continue(t)
	awaitAllReplicas(s, cluster)
	s.AwaitNewAcks(s.History.Now(), settled)
	s.Finish(producers, follower)
	require.Less(t, pause, pauseLimit)
}

// All DataNodes die at once under load and are started again: producers go on by
// themselves, and so does a node that is started afterwards. What was acknowledged
// is synced, so it is there, also if the DataNodes die while they write.
func TestAllDataNodesDieUnderLoad(t *testing.T) {
	const partitions = 2
	cluster := running(t)
	s := nodeScene(t, cluster.StoreForTest(t), partitions, talos.TopicConfig{SegmentBytes: 1 << 20})
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())
	s.AwaitNewAcks(s.History.Now(), 10*settled)
	died := time.Now()
	for _, d := range cluster.DataNodes() {
		d.Kill(t)
	}
	since := s.History.Now()
	cluster.Restore(t)
	restored := time.Now()
	s.AwaitNewAcks(since, settled)
	t.Logf("DataNodes were gone for %v, appends went on %v later",
		restored.Sub(died).Round(time.Millisecond), time.Since(restored).Round(time.Millisecond))

	// HDFS would wait for 30 heartbeats if a DataNode died that has just begun to
	// recover the first segments.
	s.Await("the first segments are not recovered", func() bool {
		return strings.Count(s.Node.Words(), "segment recovered") >= partitions
	})
	for _, d := range cluster.DataNodes() {
		d.Kill(t)
	}
	s.Node.Kill()
	tear(t, cluster)
	cluster.Restore(t)
	since = s.History.Now()
	s.Node.Start()
	s.AwaitNewAcks(since, settled)
	s.Finish(producers, follower)
}

// With durability flush a record is acknowledged in the memory of the DataNodes,
// which outlives the node.
func TestFlushedRecordsOutliveTheNode(t *testing.T) {
	t.Parallel()
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster.StoreForTest(t), 2, talos.TopicConfig{Durability: talos.Flush})
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())
	for range 3 {
		s.AwaitNewAcks(s.History.Now(), settled+rng.IntN(10*settled))
		s.Node.Kill()
		since := s.History.Now()
		s.Node.Start()
		s.AwaitNewAcks(since, 1)
	}
	s.Finish(producers, follower)
}

// logPauses says how long they were.
func logPauses(t *testing.T, when string, pauses []time.Duration) {
	t.Helper()
	slices.Sort(pauses)
	n := len(pauses)
	t.Logf("%s, the longest pauses of %d rounds: median %v, p99 %v", when, n,
		pauses[n/2].Round(time.Millisecond), pauses[n*99/100].Round(time.Millisecond))
}
