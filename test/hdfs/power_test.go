package hdfs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	frames "github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
)

// All DataNodes die at once, in the middle of appends of random sizes. (The disks
// keep what was only written, too: that a sync is asked for is tested beside the
// writer.)
func TestAllDataNodesAreKilledAndStartedAgain(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var segments []*segment
	var broken []<-chan error
	for n := range 4 {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		g := create(t, s, root, fmt.Sprintf("segment-%d", n), talos.Sync)
		segments = append(segments, g)
		broken = append(broken, inBackground(func() error { return g.fill(func() int { return g.toChunk(random.IntN(100_000)) }) }))
	}
	for _, g := range segments {
		g.await(1 << 20)
	}
	var dying sync.WaitGroup
	for _, d := range cluster.DataNodes() {
		dying.Go(func() { d.Kill(t) })
	}
	dying.Wait()
	for _, one := range broken {
		require.ErrorIs(t, <-one, storage.ErrDead)
	}
	cluster.Restore(t)
	for _, g := range segments {
		g.mustRecover(s)
	}
}

// tear makes all replicas that are being written on dead DataNodes look as if
// those had died after they wrote bytes, and before they wrote the checksum of the
// chunk in which these end.
func tear(t *testing.T, cluster *hadoop.Cluster) {
	t.Helper()
	for _, d := range cluster.DataNodes() {
		for _, name := range d.OpenReplicas(t) {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("the beginning of something")
			require.NoError(t, errors.Join(err, f.Close()))
		}
	}
}

// All DataNodes die while they write a packet: they take the chunk off in which it
// begins, and a recovery leaves the shortest replica. Nothing that was acknowledged
// may be in that chunk, which is up to who appends: see storage.Traits.
func TestATornChunkTakesNothingAlong(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := create(t, s, root, "segment", talos.Sync)
	g.mustAppend(g.toChunk(5000))
	for _, d := range cluster.DataNodes() {
		d.Kill(t)
	}
	tear(t, cluster)
	cluster.Restore(t)
	require.EqualValues(t, g.ackedBytes(), g.mustRecover(s).Size)
}

// A recovery is wanted while all DataNodes of the segment are dead. Were the
// NameNode asked then, it would give it to one of them, and to no other one for 30
// heartbeats, though all are back by then.
func TestARecoveryWaitsForADataNode(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	g := create(t, openStore(t, root), root, "segment", talos.Sync)
	g.mustAppend(5000)
	for _, d := range cluster.DataNodes() {
		d.Kill(t)
	}
	logs := &warnings{}
	var back, early atomic.Bool
	s := openWith(t, root, logs, hdfs.Options{ReadOnly: true, AtStep: func(step hdfs.Step) {
		if step == hdfs.LeaseWanted && !back.Load() {
			early.Store(true)
		}
	}})
	var info storage.Info
	recovering := inBackground(func() (err error) {
		info, err = s.Recover(t.Context(), g.id)
		return err
	})
	require.Eventually(t, func() bool { return strings.Contains(logs.all(), "none of its DataNodes answers") }, patience, glance)
	back.Store(true)
	begun := time.Now()
	cluster.Restore(t)
	restored := time.Now()
	require.NoError(t, <-recovering)
	t.Logf("DataNodes were started within %v, and the segment was recovered %v later", restored.Sub(begun), time.Since(restored))
	require.False(t, early.Load(), "the NameNode was asked while no DataNode answered")
	g.requireWhole(s, info)
}

// The NameNode dies while segments are written: appends don't need it, and what it
// must be told waits until it is back. A Seal may meet it while it starts, and then
// leaves the rest to a recovery.
func TestTheNameNodeIsStartedAgain(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	sealed, recovered := create(t, s, root, "sealed", talos.Sync), create(t, s, root, "recovered", talos.Sync)
	cluster.NameNode().Kill(t)
	sealed.mustAppend(5000)
	recovered.mustAppend(5000)
	sealing := inBackground(func() error { return sealed.appender.Seal(t.Context()) })
	cluster.Restore(t)
	if err := <-sealing; err != nil {
		require.ErrorIs(t, err, storage.ErrDead)
		require.ErrorContains(t, err, "safe mode")
	}
	recovered.mustAppend(5000)
	require.EqualValues(t, sealed.ackedBytes(), sealed.mustRecover(s).Size)
	require.EqualValues(t, recovered.ackedBytes(), recovered.mustRecover(openStore(t, root)).Size)
}

// After an old copy of etcd was restored, a rebuild must read segments that nobody
// opened since all DataNodes were started again.
func TestARebuildReadsWhatAllDataNodesLeftOpen(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	id := talos.PartitionID{Topic: talos.NewTopicID()}
	name := talos.SegmentName{Number: 1, Epoch: 1}
	_, head, err := frames.NewWriter(frames.Header{Cluster: "c", Topic: id.Topic, TopicName: "logs", Name: name, Window: 1}, nil,
		frames.Meta{}, s.Traits().Chunk)
	require.NoError(t, err)
	appender, err := s.Create(t.Context(), storage.ID{Folder: id.String(), Name: name.String()}, head, talos.Sync)
	require.NoError(t, err)
	defer appender.Abandon()
	for _, d := range cluster.DataNodes() {
		d.Kill(t)
	}
	cluster.Restore(t)

	plan, err := partition.PlanRebuild(t.Context(), openStore(t, root), id, talos.PartitionRecord{Epoch: 1})
	require.NoError(t, err)
	require.Equal(t, []talos.SegmentName{name}, plan.Chain)
}
