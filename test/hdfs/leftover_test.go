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

// brokenSegments are segments of some stores in turn, each written to until the DataNode died
// that all of them have a replica on.
func brokenSegments(t *testing.T, root string, names []string, kill func(*segment), stores ...*hdfs.Store) []*segment {
	t.Helper()
	var segments []*segment
	var broken []<-chan error
	for i, name := range names {
		g := create(t, stores[i%len(stores)], root, name, []talos.Durability{talos.Sync, talos.Flush}[i%2])
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
	segments := brokenSegments(t, root, names, func(g *segment) { g.block(cluster).DataNodes[0].Kill(t) }, s)
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
	g := brokenSegments(t, root, []string{"segment"}, func(g *segment) {
		nodes := g.block(cluster).DataNodes
		var dying sync.WaitGroup
		for _, d := range nodes[:2] {
			dying.Go(func() { d.Kill(t) })
		}
		dying.Wait()
	}, s)[0]
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
	// Each step has a store, with two segments for either kind of recovery.
	var names []string
	for n := range 4 * len(steps) {
		names = append(names, fmt.Sprintf("segment-%d", n))
	}
	var stores []*hdfs.Store
	hooks := make([]atomic.Pointer[func(hdfs.Step)], len(steps))
	for i := range steps {
		stores = append(stores, openWith(t, root, &warnings{}, hdfs.Options{AtStep: func(now hdfs.Step) {
			if hook := hooks[i].Load(); hook != nil {
				(*hook)(now)
			}
		}}))
	}
	segments := brokenSegments(t, root, names, func(g *segment) { g.block(cluster).DataNodes[0].Kill(t) }, stores...)
	for i, step := range steps {
		t.Run(string(step), func(t *testing.T) {
			// Recoveries mostly wait for heartbeats.
			t.Parallel()
			reached := 0
			for n := range 4 {
				g := segments[i+n*len(steps)]
				g.t = t
				reached += recoverMeanwhile(g, root, &hooks[i], step, n >= 2)
			}
			t.Logf("closing on the survivors was here %d times", reached)
			if slices.Contains(steps[:3], step) {
				require.Positive(t, reached)
			}
		})
	}
}

// recoverMeanwhile recovers a segment with its own store and, from a step on, with
// another one: as a whole, or so far that it has begun. It returns how often the step
// was reached.
func recoverMeanwhile(g *segment, root string, hook *atomic.Pointer[func(hdfs.Step)], step hdfs.Step, whole bool) (reached int) {
	g.t.Helper()
	wanted := make(chan struct{}, 100)
	other := openWith(g.t, root, &warnings{}, hdfs.Options{ReadOnly: true, AtStep: func(s hdfs.Step) {
		if s == hdfs.LeaseWanted {
			wanted <- struct{}{}
		}
	}})
	var found storage.Info
	var meanwhile <-chan error
	at := func(now hdfs.Step) {
		if now != step {
			return
		}
		reached++
		meanwhile = inBackground(func() (err error) {
			found, err = other.Recover(g.t.Context(), g.id)
			return err
		})
		switch {
		case whole:
			err := <-meanwhile
			meanwhile = inBackground(func() error { return err })
		case step != hdfs.LeftoverClosed: // which there is nothing to recover of
			<-wanted
		}
	}
	hook.Store(&at)
	info := g.mustRecover(g.store)
	if meanwhile != nil {
		require.NoError(g.t, <-meanwhile, "to the end: %v", whole)
		require.Equal(g.t, info, found, "to the end: %v", whole)
		g.requireWhole(other, found)
	}
	again, err := other.Recover(g.t.Context(), g.id)
	require.NoError(g.t, err)
	require.Equal(g.t, info, again)
	return reached
}
