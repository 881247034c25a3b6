package hdfs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
)

const (
	degraded = "talos_hdfs_degraded_segments"
	// probePause is how soon a store looks for DataNodes that are back.
	probePause = 500 * time.Millisecond
)

// small is the size of each append of a segment.
func small() int { return 1000 }

func TestADataNodeDiesAndComesBack(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	logs := &warnings{}
	s := openWith(t, root, logs, hdfs.Options{ProbePause: probePause})
	first := create(t, s, root, "first", talos.Sync)
	whole := first.block(cluster).DataNodes
	require.Len(t, whole, 3)

	dead := whole[1]
	broken := inBackground(func() error { return first.fill(small) })
	first.await(5000)
	dead.Kill(t)
	require.ErrorIs(t, <-broken, storage.ErrDead)

	begun := time.Now()
	second := create(t, s, root, "second", talos.Sync)
	second.mustAppend(100)
	t.Logf("the next segment acknowledged %v after the failure was seen", time.Since(begun))
	require.NotContains(t, second.block(cluster).DataNodes, dead)
	require.Len(t, second.block(cluster).DataNodes, 2)
	require.Contains(t, logs.all(), "segment has fewer replicas than wanted")
	require.Equal(t, 1, metric(t, s, degraded, ""))

	t.Run("what it wrote is recovered by two at once", func(t *testing.T) {
		recoverByTwo(t, first, s, openWith(t, root, logs, hdfs.Options{ReadOnly: true}))
	})
	t.Run("a store that must have all replicas is refused", func(t *testing.T) {
		_, err := open(t, root+"&replication=3&min-replicas=3", hdfs.Options{})
		require.ErrorIs(t, err, talos.TooFewReplicas)
		require.ErrorContains(t, err, "3 must be")
		require.ErrorContains(t, err, dead.Address(), "it names the DataNode that does not answer")
	})

	require.False(t, asked(second.appender), "there are no DataNodes to roll to")
	cluster.Restore(t)
	require.Eventually(t, func() bool { return asked(second.appender) }, patience, glance)
	require.NoError(t, second.appender.Seal(t.Context()))
	require.Zero(t, metric(t, s, degraded, ""))
	third := create(t, s, root, "third", talos.Sync)
	third.mustAppend(100)
	require.Len(t, third.block(cluster).DataNodes, 3)
	require.Zero(t, metric(t, s, degraded, ""))
}

func TestWithTooFewDataNodesNothingIsWrittenUntilTheyAreBack(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := create(t, s, root, "before", talos.Sync)
	g.mustAppend(100)
	cluster.DataNodes()[0].Kill(t)
	cluster.DataNodes()[2].Kill(t)
	require.ErrorIs(t, <-g.append(100), storage.ErrDead)

	_, err := s.Create(t.Context(), storage.ID{Folder: "segments", Name: "refused"}, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, talos.TooFewReplicas)
	require.True(t, talos.TooFewReplicas.Class().Retryable)
	require.ErrorContains(t, err, "1 can be written, 2 must be")

	cluster.Restore(t)
	create(t, s, root, "after", talos.Sync).mustAppend(100)
	require.EqualValues(t, g.ackedBytes(), g.mustRecover(s).Size)
}

// A stopped DataNode keeps its connections and answers nothing: the writer has to
// see that, and a recovery has to go on without it.
func TestADataNodeIsStopped(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := create(t, s, root, "first", talos.Sync)
	g.mustAppend(100)
	stopped := g.block(cluster).DataNodes[0]
	stopped.Stop(t)
	begun := time.Now()
	require.ErrorIs(t, <-g.append(100), storage.ErrDead)
	next := create(t, s, root, "second", talos.Sync)
	next.mustAppend(100)
	t.Logf("another segment has acknowledged after %v", time.Since(begun))
	require.NotContains(t, next.block(cluster).DataNodes, stopped)

	recoverByTwo(t, g, s, openStore(t, root))
}

// recoverByTwo recovers a segment with two stores at the same time.
func recoverByTwo(t *testing.T, g *segment, stores ...*hdfs.Store) {
	t.Helper()
	begun := time.Now()
	infos := make([]storage.Info, len(stores))
	var waiting []<-chan error
	for i, s := range stores {
		waiting = append(waiting, inBackground(func() (err error) {
			infos[i], err = s.Recover(t.Context(), g.id)
			t.Logf("recovered after %v", time.Since(begun))
			return err
		}))
	}
	for _, one := range waiting {
		require.NoError(t, <-one)
	}
	require.Len(t, slices.Compact(infos), 1, "both found the same")
	g.requireWhole(stores[0], infos[0])
}

// await waits until that many bytes are acknowledged.
func (g *segment) await(bytes int) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.ackedBytes() >= bytes }, patience, time.Millisecond)
}

func asked(a storage.Appender) bool {
	select {
	case <-a.Roll():
		return true
	default:
		return false
	}
}

func inBackground(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return result
}

// A DataNode is lost when a segment is closed but not yet known to be synced: it
// can't be opened for that on all of its replicas.
func TestADataNodeDiesBetweenTheCloseAndTheMark(t *testing.T) {
	cluster := running(t)
	for name, lose := range map[string]func(*hadoop.Daemon, *testing.T){
		"killed":  func(d *hadoop.Daemon, t *testing.T) { d.Kill(t) },
		"stopped": func(d *hadoop.Daemon, t *testing.T) { d.Stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { cluster.Restore(t) })
			root := cluster.StoreForTest(t)
			s := openStore(t, root)
			w := startWriter(t, root, life{"closed", afterFileClosed, talos.Sync})
			// The NameNode hears of the replicas one by one.
			file := filePath(t, root, writerFolder, "closed")
			require.Eventually(t, func() bool { return len(cluster.Blocks(t, file)[0].DataNodes) == 3 }, patience, glance)
			lose(cluster.DataNodes()[1], t)
			begun := time.Now()
			info, err := s.Recover(t.Context(), storage.ID{Folder: writerFolder, Name: "closed"})
			require.NoError(t, err)
			t.Logf("recovered after %v", time.Since(begun))
			require.Equal(t, w.acked, info.Size)
		})
	}
}
