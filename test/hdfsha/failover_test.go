package hdfsha_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/scene"
)

// settled is how many records are acknowledged until a pause counts as over.
const settled = 200

// nodeScene is `talos dev` over a folder of the test's own on HDFS, and its topic,
// whose segments are short: there is always one that is just created or sealed.
func nodeScene(t *testing.T, c *hadoop.Cluster) *scene.Scene {
	t.Helper()
	timed(t)
	return scene.New(t, scene.Config{
		Program: &released, Partitions: 2, Topic: talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes},
		Args: []string{"--store", c.StoreForTest(t)},
	})
}

// The active NameNode dies, or stands still, under load, and the other one is made
// active, over and over. Producers and a consumer notice a pause.
func TestTheActiveNameNodeFailsUnderLoad(t *testing.T) {
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster)
	follower := s.Follow()
	producers := produce(s, 64)
	for _, how := range []struct {
		what   string
		rounds int
		fail   func(*hadoop.Daemon)
	}{
		{"the active NameNode was killed", hadoop.Rounds(1, 15), func(d *hadoop.Daemon) { d.Kill(t) }},
		{"the active NameNode was stopped", hadoop.Rounds(1, 15), func(d *hadoop.Daemon) { d.Stop(t) }},
	} {
		var pauses []time.Duration
		for range how.rounds {
			s.AwaitNewAcks(s.History.Now(), settled+rng.IntN(5*settled))
			begun, since := time.Now(), s.History.Now()
			former, created := cluster.NameNode(), createdBy(s)
			how.fail(former)
			cluster.Failover(t)
			s.Await("no segments are created", func() bool { return createdBy(s) >= created+4 })
			s.AwaitNewAcks(since, settled)
			pauses = append(pauses, s.History.LongestPause(begun, time.Now()))
			if former.Running() {
				former.Continue(t)
				s.AwaitNewAcks(s.History.Now(), settled)
			}
			cluster.Restore(t)
		}
		logPauses(t, how.what, pauses)
	}
	s.Finish(producers, follower)
}

// produce starts two producers that soon fill a segment, and leave the processors to
// the daemons that are started meanwhile.
func produce(s *scene.Scene, window int) *load.Producers {
	s.T.Helper()
	return s.Load(load.Plan{Codecs: []batch.Codec{batch.None, batch.None}, Window: window, Rate: 1500})
}

// createdBy counts the segments that the node has created.
func createdBy(s *scene.Scene) float64 {
	s.T.Helper()
	n, err := s.Node.Metric(s.T.Context(), "talos_hdfs_segments_created_total")
	require.NoError(s.T, err)
	return n
}

// The node dies, and the active NameNode dies while the next node recovers the
// segments.
func TestTheActiveNameNodeDiesDuringATakeover(t *testing.T) {
	const recovering = time.Second // about how long that takes
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster)
	follower := s.Follow()
	producers := produce(s, 64)
	var pauses []time.Duration
	for range hadoop.Rounds(1, 20) {
		s.AwaitNewAcks(s.History.Now(), settled+rng.IntN(5*settled))
		begun := time.Now()
		s.Node.Kill()
		since := s.History.Now()
		s.Node.Start()
		s.Pass(time.Duration(rng.Int64N(int64(recovering))))
		cluster.NameNode().Kill(t)
		cluster.Failover(t)
		s.AwaitNewAcks(since, settled)
		pauses = append(pauses, s.History.LongestPause(begun, time.Now()))
		cluster.Restore(t)
	}
	logPauses(t, "the node and then the active NameNode were killed", pauses)
	s.Finish(producers, follower)
}

// Segments are created, appended to and sealed one after the other while the active
// NameNode dies. Each call has one answer, whichever of the two NameNodes carried it
// out: a create that is sent again does not find its own file in its way.
func TestCallsThatASecondNameNodeAnswersAreCarriedOutOnce(t *testing.T) {
	const writers = 8
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	for round := range hadoop.Rounds(1, 20) {
		var done atomic.Int64
		stop := make(chan struct{})
		group, _ := errgroup.WithContext(t.Context())
		for w := range writers {
			group.Go(func() error { return writeUntil(t, s, fmt.Sprintf("round-%d", round), w, &done, stop) })
		}
		reach := func(n int64) {
			require.Eventually(t, func() bool { return done.Load() >= n }, patience, time.Millisecond)
		}
		reach(3 * writers)
		cluster.NameNode().Kill(t)
		cluster.Failover(t)
		reach(done.Load() + 3*writers)
		close(stop)
		require.NoError(t, group.Wait())
		listing, err := s.List(t.Context(), fmt.Sprintf("round-%d", round))
		require.NoError(t, err)
		require.Len(t, listing.Segments, int(done.Load()))
		for _, segment := range listing.Segments {
			require.True(t, segment.Sealed)
			require.EqualValues(t, len("head")+len("tail"), segment.Size)
		}
		cluster.Restore(t)
	}
}

// writeUntil writes segments until it is stopped, each as a whole.
func writeUntil(t *testing.T, s *hdfs.Store, folder string, writer int, done *atomic.Int64, stop <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		id := storage.ID{Folder: folder, Name: fmt.Sprintf("%d-%d", writer, n)}
		a, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
		if err != nil {
			return err
		}
		appended := make(chan error, 1)
		a.Append([]byte("tail"), func(err error) { appended <- err })
		err = <-appended
		if err == nil {
			err = a.Seal(t.Context())
		}
		a.Abandon()
		if err != nil {
			return err
		}
		done.Add(1)
	}
}
