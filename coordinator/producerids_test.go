package coordinator_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func at(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 0) }
}

func TestProducerIDs_TheBits(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := openMeta(t, open(), "a", coordinator.WithClock(at(1000)))
		base := int64(m.Cluster().ProducerBits) << 48
		for _, block := range []int64{1000, 1001, 1002} {
			first, n, err := m.ProducerIDs(t.Context())
			require.NoError(t, err)
			require.Equal(t, base|block<<16, first)
			require.EqualValues(t, 65536, n)
			require.Positive(t, first)
		}
	})
}

// Another node reserves between this one's read and its transaction.
func TestProducerIDs_TwoNodesAtOnceGetTwoBlocks(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := openMeta(t, open(), "b", coordinator.WithClock(at(1000)))
		kv := &between{KV: open()}
		m := openMeta(t, kv, "a", coordinator.WithClock(at(1000)))
		for range 2 { // without a block so far, then with one
			var others int64
			kv.beforeCommit = func() {
				var err error
				others, _, err = other.ProducerIDs(t.Context())
				require.NoError(t, err)
			}
			first, n, err := m.ProducerIDs(t.Context())
			require.NoError(t, err)
			require.Equal(t, others+n, first)
		}
	})
}

func TestProducerIDs_TheBlockFits32Bits(t *testing.T) {
	m := openMeta(t, mem.New(), "a", coordinator.WithClock(at(1<<32-1)))
	first, n, err := m.ProducerIDs(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(m.Cluster().ProducerBits)<<48|(1<<48-1), first+n-1, "the very last one")
	_, _, err = m.ProducerIDs(t.Context())
	require.ErrorIs(t, err, talos.Internal)
}

// An old copy of etcd's folder is put back, as an operator would.
func TestProducerIDs_AreFreshAfterAnOldCopyIsRestored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	copied := filepath.Join(t.TempDir(), "copy")
	now := int64(1_800_000_000)
	used := map[int64]bool{}
	run := func() {
		server, err := embedded.Start(t.Context(), dir, quiet())
		require.NoError(t, err)
		kv := openEtcd(t, server)
		m := openMeta(t, kv, "a", coordinator.WithClock(func() time.Time { return time.Unix(now, 0) }))
		for range 3 {
			first, _, err := m.ProducerIDs(t.Context())
			require.NoError(t, err)
			require.False(t, used[first], "block %x was given out twice", first)
			used[first] = true
			now++
		}
		m.Close()
		kv.crash()
		require.NoError(t, server.Close())
	}
	run()
	copyFolder(t, dir, copied)
	run()
	run()
	copyFolder(t, copied, dir)
	run()
	require.Len(t, used, 12)
}

func TestAllocator_HandsOutEachIDOnce(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := openMeta(t, kv, "a")
	sent := kv.commitsSent()
	ids := coordinator.NewProducerIDs(m)
	const workers, each = 8, 10_000 // more than one block, fewer than two
	got := make([][]int64, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				id, err := ids.Next(t.Context())
				if err != nil {
					return
				}
				got[i] = append(got[i], id)
			}
		})
	}
	wg.Wait()
	unique := map[int64]bool{}
	for _, some := range got {
		for _, id := range some {
			unique[id] = true
		}
	}
	require.Len(t, unique, workers*each)
	require.Equal(t, sent+2, kv.commitsSent(), "one reservation a block, however many wait for it")
}

func TestAllocator_GoesOnAfterAnError(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	ids := coordinator.NewProducerIDs(openMeta(t, kv, "a"))
	kv.failCommits(lostReply, 1)
	_, err := ids.Next(t.Context())
	require.ErrorIs(t, err, talos.MetaUnavailable)
	_, err = ids.Next(t.Context())
	require.NoError(t, err)
}

func TestAllocator_WaitersObeyTheirContexts(t *testing.T) {
	kv := &stuck{KV: mem.New(), entered: make(chan struct{}), release: make(chan struct{})}
	m := openMeta(t, kv, "a")
	kv.on = true
	ids := coordinator.NewProducerIDs(m)
	first := make(chan error, 1)
	go func() { _, err := ids.Next(t.Context()); first <- err }()
	<-kv.entered

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ids.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
	close(kv.release)
	require.NoError(t, <-first)
}

// stuck is a KV whose commits wait to be released.
type stuck struct {
	coordinator.KV
	on               bool
	entered, release chan struct{}
}

func (s *stuck) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if s.on {
		close(s.entered)
		<-s.release
	}
	return s.KV.Commit(ctx, conds, ops)
}
