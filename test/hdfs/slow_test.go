package hdfs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/talos"
)

// A DataNode stops for moments that are too short to count as a failure, over and
// over: the segment is to be rolled, and the next one does without it.
func TestASlowDataNodeIsLeftOut(t *testing.T) {
	const standing, moving = 250 * time.Millisecond, 50 * time.Millisecond
	cluster := running(t)
	root := cluster.StoreForTest(t)
	logs := &warnings{}
	s := openWith(t, root, logs, hdfs.Options{})
	g := create(t, s, root, "first", talos.Flush)
	slow := g.block(cluster).DataNodes[1]
	filled := inBackground(func() error { return g.fill(small) })
	g.await(5000)
	for begun := time.Now(); !asked(g.appender); {
		require.Less(t, time.Since(begun), patience, "the segment is not to be rolled")
		slow.Stop(t)
		<-time.After(standing)
		slow.Continue(t)
		<-time.After(moving)
	}
	g.appender.Abandon()
	<-filled
	require.Contains(t, logs.all(), "DataNode is slow, left out for a while")
	require.Contains(t, logs.all(), slow.Address())
	require.Equal(t, 1, metric(t, s, "talos_hdfs_slow_rolls_total", ""))

	next := create(t, s, root, "second", talos.Flush)
	next.mustAppend(1000)
	require.NotContains(t, next.block(cluster).DataNodes, slow)
	g.mustRecover(s)
}
