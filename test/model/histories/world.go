package histories

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/model"
	"pgregory.net/rapid"
)

const (
	// maxNodes bounds the nodes that believe that they own the partition.
	maxNodes = 3
	// patience is how long things may take that must happen.
	patience = 60 * time.Second
)

// run is one history.
func run(rt *rapid.T, k Kind, covered map[string]int) {
	w := newWorld(rt, k)
	defer w.close()
	w.openOne(rt)
	actions := map[string]func(*rapid.T){"": w.check}
	for name, act := range w.actions() {
		actions[name] = func(rt *rapid.T) {
			w.prune(rt)
			act(rt)
			w.model.Count("action: " + name)
			w.settle()
		}
	}
	rt.Repeat(actions)
	w.finish(rt)
	for what, n := range w.model.Counts() {
		covered[what] += n
	}
	for _, f := range w.met {
		for op, n := range f.Met() {
			covered["fault: "+string(op)] += n
		}
	}
}

// world is one partition, and the nodes that believe that they own it.
type world struct {
	store   storage.Store
	remove  func()
	virtual bool
	topic   talos.Topic
	record  *model.Record
	model   *model.Model
	// nodes are those that opened the partition and did not crash, oldest first.
	nodes     []*node
	producers []*model.Producer
	// next are the faults that the next node to open the partition will meet.
	next *model.Faults
	// met are the faults of all nodes so far.
	met   []*model.Faults
	trims sync.WaitGroup
}

type node struct {
	name   string
	faults *model.Faults
	owner  *model.Owner
}

func newWorld(rt *rapid.T, k Kind) *world {
	store, remove := k.Open(rt)
	config := talos.TopicConfig{
		SegmentBytes:    rapid.SampledFrom([]int64{0, 1, 10_000, 1 << 20}).Draw(rt, "segment bytes"),
		SegmentMillis:   rapid.SampledFrom([]int64{0, 0, 1000}).Draw(rt, "segment age"),
		RetentionMillis: rapid.SampledFrom([]int64{0, 0, 1000, 60_000}).Draw(rt, "retention"),
		RetentionBytes:  rapid.SampledFrom([]int64{0, 0, 1, 100_000}).Draw(rt, "retention bytes"),
	}
	w := &world{
		store: store, remove: remove, virtual: k.Virtual, record: model.NewRecord(), model: model.New(config), next: &model.Faults{},
		topic: talos.Topic{Name: "modeled", ID: talos.TopicID{1}, Partitions: 1, Config: config},
	}
	for range 3 {
		w.producers = append(w.producers, w.model.Producer(nil))
	}
	return w
}

func (w *world) newest() *node { return w.nodes[len(w.nodes)-1] }

// open lets a node take the partition over; false if that failed.
func (w *world) open(name string) bool {
	n := &node{name: name, faults: w.next}
	w.met = append(w.met, w.next)
	w.next = &model.Faults{}
	w.record.Assign(name)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	log, err := partition.Open(ctx, partition.Config{
		Cluster: "modeled", Topic: w.topic, Store: n.faults.Store(w.store), Records: w.record.As(name, n.faults),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.model.OpenFailed(name, err)
		return false
	}
	n.owner = w.model.Opened(name, log)
	w.nodes = append(w.nodes, n)
	if len(w.nodes) > maxNodes {
		w.crash(0)
	}
	return true
}

// openOne opens the partition, and tries again where that fails of a fault.
func (w *world) openOne(rt *rapid.T) {
	for range 10 {
		if w.open(drawName(rt)) {
			return
		}
		require.NoError(rt, w.model.Breach())
		w.next.Clear()
	}
	require.Fail(rt, "the partition can't be opened though nothing fails")
}

// prune lets go of logs that have ended, but some, and makes sure that there is
// one that has not.
func (w *world) prune(rt *rapid.T) {
	for i := len(w.nodes) - 1; i >= 0; i-- {
		if w.nodes[i].owner.Log.Err() != nil && (i > 0 || len(w.nodes) == 1) {
			w.crash(i)
		}
	}
	if len(w.nodes) == 0 {
		w.openOne(rt)
	}
}

func drawName(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "node")
}

var errCrashed = errors.New("crashed")

// crash ends the i-th node in its tracks.
func (w *world) crash(i int) {
	n := w.nodes[i]
	w.nodes = slices.Delete(w.nodes, i, i+1)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCrashed)
	// That it did not end in good order is what was wanted.
	_ = n.owner.Log.Close(ctx)
	n.faults.Clear()
}

// settle waits until nothing moves anymore, where that can be told.
func (w *world) settle() {
	if w.virtual {
		synctest.Wait()
	}
}

// check runs after each action.
func (w *world) check(rt *rapid.T) {
	for _, n := range w.nodes {
		w.model.Inspect(n.owner)
	}
	require.NoError(rt, w.model.Breach())
}

// pass lets virtual time go by.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// await waits until an owner has answered everything; with nil, all of them.
func (w *world) await(rt *rapid.T, o *model.Owner) {
	deadline := time.After(patience)
	for w.model.Waiting(o) > 0 {
		select {
		case <-w.model.Answered():
		case <-deadline:
			require.FailNow(rt, "no answer", "%d attempts still wait", w.model.Waiting(o))
		}
	}
}

// finish takes all faults away and looks what there is.
func (w *world) finish(rt *rapid.T) {
	for _, n := range w.nodes {
		n.faults.Clear()
	}
	w.trims.Wait()
	for len(w.nodes) > 0 {
		w.crash(0)
	}
	require.Zero(rt, w.model.Waiting(nil), "answers that never came, though all logs are closed")
	w.next.Clear()
	require.True(rt, w.open("last"))
	w.lookAtAll(rt)
	for _, p := range w.producers {
		for _, b := range w.model.Unanswered(p) {
			w.mustTake(rt, b)
		}
	}
	w.mustTake(rt, w.model.Plain(10, 1))
	w.lookAtAll(rt)

	w.mustClose(rt)
	require.True(rt, w.open("last"))
	w.lookAtAll(rt)
	if w.virtual {
		w.pass(10 * time.Minute)
		w.checkFolder(rt)
	}
	w.mustClose(rt)
}

// mustTake sends a batch that must be stored, for nothing fails.
func (w *world) mustTake(rt *rapid.T, b *model.Batch) {
	before := w.model.Counts()["acknowledged"]
	w.model.Send(w.newest().owner, b)
	w.await(rt, nil)
	require.NoError(rt, w.model.Breach())
	require.Equal(rt, before+1, w.model.Counts()["acknowledged"], "%v, though nothing fails", b)
}

func (w *world) mustClose(rt *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n := w.newest()
	w.nodes = w.nodes[:len(w.nodes)-1]
	require.NoError(rt, n.owner.Log.Close(ctx))
	require.ErrorIs(rt, n.owner.Log.Err(), talos.NotServing)
	require.Zero(rt, w.model.Waiting(n.owner))
}

// lookAtAll reads everything from the newest owner, which nothing disturbs.
func (w *world) lookAtAll(rt *rapid.T) {
	require.NoError(rt, w.model.Look(context.Background(), w.newest().owner, 100_000))
	w.check(rt)
	record, stats := w.record.Now(), w.newest().owner.Log.Stats()
	require.Equal(rt, int(record.Tail-record.Start.Number)+1, stats.Segments, "the record is %v", record)
}

// checkFolder makes sure that everything that does not count has been removed,
// and nothing else.
func (w *world) checkFolder(rt *rapid.T) {
	listing, err := w.store.List(context.Background(), talos.PartitionID{Topic: w.topic.ID}.String())
	require.NoError(rt, err)
	record := w.record.Now()
	numbers := []talos.SegmentNumber{}
	for _, s := range listing.Segments {
		name, err := talos.ParseSegmentName(s.Name)
		require.NoError(rt, err)
		numbers = append(numbers, name.Number)
	}
	want := []talos.SegmentNumber{}
	for n := record.Start.Number; n <= record.Tail; n++ {
		want = append(want, n)
	}
	require.Equal(rt, want, numbers, "the record is %v, the segments are %v", record, fmt.Sprint(listing.Segments))
}

// close ends what is left, also after a failure.
func (w *world) close() {
	w.next.Clear()
	for _, n := range w.nodes {
		n.faults.Clear()
	}
	for len(w.nodes) > 0 {
		w.crash(0)
	}
	w.trims.Wait()
	w.remove()
}
