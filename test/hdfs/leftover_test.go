package hdfs_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

const leftoversClosed = "talos_hdfs_leftovers_closed_total"

// brokenSegments are segments of one store, each written to until the DataNode died that all
// of them have a replica on.
func brokenSegments(t *testing.T, s *hdfs.Store, root string, names []string, kill func(*segment)) []*segment {
	t.Helper()
	var segments []*segment
	var broken []<-chan error
	for i, name := range names {
		g := create(t, s, root, name, []talos.Durability{talos.Sync, talos.Flush}[i%2])
		segments = append(segments, g)
		broken = append(broken, inBackground(func() error { return g.fill(small) }))
	}
	for _, g := range segments {
		g.await(5000)
	}
	kill(segments[0])
	for _, one := range broken {
		require.ErrorIs(t, <-one, storage.ErrDead)
	}
	for _, g := range segments {
		g.appender.Abandon()
	}
	return segments
}

// A DataNode dies: what its writer gave up is closed on the other two, without a
// lease recovery, and stays what it is when the DataNode is back with its replica.
func TestWhatIsGivenUpIsClosedOnTheSurvivors(t *testing.T) {
	const rounds = 20
	cluster := running(t)
	root := cluster.StoreForTest(t)
	var leases atomic.Int64
	s := openWith(t, root, &warnings{}, hdfs.Options{AtStep: func(step hdfs.Step) {
		if step == hdfs.LeaseWanted {
			leases.Add(1)
		}
	}})
	var names []string
	for n := range rounds {
		names = append(names, fmt.Sprintf("segment-%d", n))
	}
	segments := brokenSegments(t, s, root, names, func(g *segment) { g.block(cluster).DataNodes[0].Kill(t) })
	var took []time.Duration
	for _, g := range segments {
		begun := time.Now()
		g.mustRecover(s)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("%d of %d segments were closed on their survivors; recovered within %v (median) to %v",
		metric(t, s, leftoversClosed, ""), rounds, took[rounds/2].Round(time.Millisecond), took[rounds-1].Round(time.Millisecond))
	closed := metric(t, s, leftoversClosed, "")
	require.Positive(t, closed)
	require.EqualValues(t, rounds-closed, leases.Load(), "the others took a lease recovery, once")

	cluster.Restore(t)
	other := openStore(t, root)
	for _, g := range segments {
		g.mustRecover(other)
	}
}

// Two of three DataNodes die: what is left on one is not closed there, since HDFS
// would drop the replicas of the others, which have all that was acknowledged.
func TestWhatIsLeftOnTooFewIsNotClosedThere(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := brokenSegments(t, s, root, []string{"segment"}, func(g *segment) {
		nodes := g.block(cluster).DataNodes
		var dying sync.WaitGroup
		for _, d := range nodes[:2] {
			dying.Go(func() { d.Kill(t) })
		}
		dying.Wait()
	})[0]
	cluster.Restore(t)
	g.mustRecover(s)
	require.Zero(t, metric(t, s, leftoversClosed, ""))
}

// Another node recovers the segment while its writer closes it on the survivors: at
// each step, to the end, or just begun. Both find the same, with all that was
// acknowledged.
func TestWhatIsGivenUpIsRecoveredByAnotherNodeMeanwhile(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	steps := []hdfs.Step{hdfs.SurvivorsAgree, hdfs.StampRaised, hdfs.ReplicasClosed, hdfs.SurvivorsFollow, hdfs.LeftoverClosed}
	var names []string
	for n := range 4 * len(steps) {
		names = append(names, fmt.Sprintf("segment-%d", n))
	}
	var at atomic.Value // func(hdfs.Step)
	at.Store(func(hdfs.Step) {})
	s := openWith(t, root, &warnings{}, hdfs.Options{AtStep: func(step hdfs.Step) { at.Load().(func(hdfs.Step))(step) }})
	segments := brokenSegments(t, s, root, names, func(g *segment) { g.block(cluster).DataNodes[0].Kill(t) })
	reached := map[hdfs.Step]int{}
	for i, g := range segments {
		step, whole := steps[i/4], i/2%2 == 1
		wanted := make(chan struct{}, 100)
		other := openWith(t, root, &warnings{}, hdfs.Options{ReadOnly: true, AtStep: func(s hdfs.Step) {
			if s == hdfs.LeaseWanted {
				wanted <- struct{}{}
			}
		}})
		var found storage.Info
		var meanwhile <-chan error
		at.Store(func(now hdfs.Step) {
			if now != step {
				return
			}
			reached[step]++
			meanwhile = inBackground(func() (err error) {
				found, err = other.Recover(t.Context(), g.id)
				return err
			})
			switch {
			case whole:
				err := <-meanwhile
				meanwhile = inBackground(func() error { return err })
			case step != hdfs.LeftoverClosed: // which there is nothing to recover of
				<-wanted
			}
		})
		info := g.mustRecover(s)
		if meanwhile != nil {
			require.NoError(t, <-meanwhile, "%s, to the end: %v", step, whole)
			require.Equal(t, info, found, "%s, to the end: %v", step, whole)
			g.requireWhole(other, found)
		}
		again, err := other.Recover(t.Context(), g.id)
		require.NoError(t, err)
		require.Equal(t, info, again)
	}
	t.Logf("closing on the survivors was at these steps: %v", reached)
	for _, step := range steps[:3] {
		require.Positive(t, reached[step], "%s", step)
	}
}
