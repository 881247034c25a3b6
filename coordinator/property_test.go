package coordinator_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

// worker is one run of a node: it registers, raises, swaps and hands over as drawn,
// and keeps what it was told.
type worker struct {
	id      string
	handle  *mem.KV
	kv      *flaky
	meta    *coordinator.Meta
	topic   talos.TopicID
	record  *coordinator.Record
	actions []string

	known  talos.PartitionRecord // what it believes the record to be
	epochs []talos.Epoch         // as raised
	swaps  int                   // acknowledged
	doubt  int                   // swaps of unknown outcome
}

// Nodes, two of which run under one id, raise and swap one record at once, while
// somebody assigns the partition to one and another, and they hand it over. Some
// replies are lost, and sessions end.
func TestRecord_ConcurrentRaisesAndSwapsLoseNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		store := mem.New()
		topic := newTopic("logs")
		id := talos.PartitionID{Topic: topic.ID}
		workers := drawWorkers(rt, store, id)
		require.NoError(rt, workers[0].meta.CreateTopic(ctx, topic, nil))

		var wg sync.WaitGroup
		for _, w := range workers {
			wg.Go(func() { w.run(ctx) })
		}
		wg.Wait()
		last, err := workers[0].record.Read(ctx)
		require.NoError(rt, err)
		for _, w := range workers {
			w.meta.Close()
		}
		checkHistory(rt, workers, last)
	})
}

func drawWorkers(rt *rapid.T, store *mem.KV, id talos.PartitionID) []*worker {
	action := rapid.SampledFrom([]string{
		"register", "assign", "move", "release", "raise", "raise", "swap", "swap", "swap", "swap, reply lost", "end session",
	})
	var workers []*worker
	for _, actions := range rapid.SliceOfN(rapid.SliceOfN(action, 1, 30), 2, 4).Draw(rt, "actions") {
		handle := store.Handle()
		kv := &flaky{KV: handle}
		name := []string{"a", "a", "b", "c"}[len(workers)]
		meta, err := coordinator.Open(context.Background(), kv, nodeNamed(name), quiet())
		require.NoError(rt, err)
		workers = append(workers, &worker{
			id: name, handle: handle, kv: kv, meta: meta, topic: id.Topic, record: meta.Record(id),
			actions: append([]string{"register", "assign", "raise"}, actions...),
		})
	}
	return workers
}

func (w *worker) run(ctx context.Context) {
	for _, action := range w.actions {
		switch action {
		case "register":
			// The other run under this id may have it, for ever.
			brief, cancel := context.WithTimeout(ctx, time.Millisecond)
			_ = w.meta.Register(brief)
			cancel()
		case "assign":
			must(w.meta.Assign(ctx, w.topic, []string{w.id}, nil))
		case "move":
			must(w.meta.Assign(ctx, w.topic, []string{w.id}, map[int32]string{0: "b"}))
		case "release":
			if err := w.meta.Release(ctx, w.topic, []int32{0}); err != nil && talos.KindOf(err) != talos.NotOwner {
				panic(err)
			}
		case "raise":
			if record, err := w.record.Raise(ctx); err == nil {
				w.known = record
				w.epochs = append(w.epochs, record.Epoch)
			} else if talos.KindOf(err) != talos.NotOwner {
				panic(err)
			}
		case "swap, reply lost":
			w.kv.failCommits(lostReply, 1)
			w.swap(ctx)
			w.kv.recover() // it may have failed before its commit
		case "swap":
			w.swap(ctx)
		case "end session":
			w.handle.EndSessions()
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (w *worker) swap(ctx context.Context) {
	next := w.known
	next.Tail++
	switch err := w.record.Swap(ctx, w.known, next); talos.KindOf(err) {
	case talos.NotOwner:
	case talos.MetaUnavailable:
		w.doubt++
	default:
		if err != nil {
			panic(err)
		}
		w.swaps++
		w.known = next
	}
}

func checkHistory(rt *rapid.T, workers []*worker, last talos.PartitionRecord) {
	raised := map[talos.Epoch]bool{}
	acknowledged, doubt := 0, 0
	for _, w := range workers {
		before := talos.Epoch(0)
		for _, epoch := range w.epochs {
			require.Greater(rt, epoch, before, "a worker's epochs strictly increase")
			require.False(rt, raised[epoch], "epoch %d was raised twice", epoch)
			raised[epoch], before = true, epoch
		}
		acknowledged += w.swaps
		doubt += w.doubt
	}
	require.LessOrEqual(rt, len(raised), int(last.Epoch))
	require.GreaterOrEqual(rt, int(last.Tail), acknowledged, "an acknowledged swap was lost")
	require.LessOrEqual(rt, int(last.Tail), acknowledged+doubt)
}

// Blocks are reserved by several nodes whose clocks jump about. Then etcd is
// restored from an old copy, at a time when the clocks have moved past what was
// given out.
func TestProducerIDs_NeverRepeat(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		store := mem.New()
		seconds := rapid.Int64Range(0, 1<<31)
		used := map[int64]bool{}
		var latest int64 // the largest block
		reserve := func(now int64) {
			m, err := coordinator.Open(ctx, store.Handle(), nodeNamed("a"), quiet(), coordinator.WithClock(at(now)))
			require.NoError(rt, err)
			defer m.Close()
			first, n, err := m.ProducerIDs(ctx)
			require.NoError(rt, err)
			require.EqualValues(rt, 1<<16, n)
			require.Zero(rt, first%n)
			require.Equal(rt, int64(m.Cluster().ProducerBits), first>>48)
			require.False(rt, used[first], "block %x was given out twice", first)
			used[first] = true
			latest = max(latest, first>>16&0xffffffff)
		}
		for _, now := range rapid.SliceOfN(seconds, 1, 10).Draw(rt, "clock before the copy") {
			reserve(now)
		}
		old, err := store.Load(ctx, "/talos/v1/producer-block")
		require.NoError(rt, err)
		for _, now := range rapid.SliceOfN(seconds, 0, 10).Draw(rt, "clock after the copy") {
			reserve(now)
		}
		_, err = store.Commit(ctx, nil, []coordinator.Op{coordinator.Put(old[0].Key, old[0].Value)})
		require.NoError(rt, err)
		for _, ahead := range rapid.SliceOfN(rapid.Int64Range(1, 1000), 1, 10).Draw(rt, "seconds since") {
			reserve(latest + ahead)
		}
	})
}
