package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/etcd"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

const (
	// lease is how long a node outlives its silence, unless a Config says otherwise.
	lease = 2 * time.Second
	// look is how often a world is looked at while something must happen.
	look = 20 * time.Millisecond
	// askTimeout bounds one question to the cluster.
	askTimeout = 5 * time.Second

	// quietTopic is a topic that nobody writes to: an owner of it meets nobody who
	// could tell it that another one has taken over.
	quietTopic = talos.TopicName("quiet")

	defaultNodes      = 3
	defaultPartitions = 6
)

// Config says what a world is made of. The zero value of a field is a default.
type Config struct {
	// Program is the binary with failpoints.
	Program    *process.Builder
	Store      StoreKind
	Nodes      int
	Members    int // of etcd
	Partitions int32
	Lease      time.Duration
	// Args are more arguments of each `talos server`.
	Args []string
}

// World is a running cluster and those who use it. Its methods belong to the
// test's goroutine.
type World struct {
	T       *testing.T
	Config  Config
	Scene   *scene.Scene
	History *history.History

	rng   *rand.Rand
	etcd  *etcd.Cluster
	store backing
	nodes []*member
	// quiet is the id of quietTopic.
	quiet talos.TopicID
	// client asks about the cluster as users do.
	client *sdk.Client

	producers *load.Producers
	followers []*scene.Follower
	observer  *load.Observer
}

// New starts everything but the load.
func New(t *testing.T, cfg Config, rng *rand.Rand) *World {
	t.Helper()
	cfg.Nodes, cfg.Members = orDefault(cfg.Nodes, defaultNodes), orDefault(cfg.Members, 1)
	cfg.Partitions, cfg.Lease = orDefault(cfg.Partitions, defaultPartitions), orDefault(cfg.Lease, lease)
	w := &World{T: t, Config: cfg, rng: rng, store: newBacking(t, cfg.Store), etcd: etcd.ForTest(t, cfg.Members)}
	var all []*process.Node
	var addresses []string
	for i := range cfg.Nodes {
		m := newMember(t, cfg, i+1, w.etcd.Endpoints(), w.store)
		w.nodes, all, addresses = append(w.nodes, m), append(all, m.Node), append(addresses, m.Address())
		m.launch()
	}
	client, err := sdk.Dial(strings.Join(addresses, ","))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	w.client = client
	w.await("no node answers", func(ctx context.Context) bool {
		_, err := client.Topics(ctx)
		return err == nil
	})
	w.Scene = scene.New(t, scene.Config{
		Nodes: all, Partitions: cfg.Partitions, Topic: talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes},
	})
	w.History = w.Scene.History
	w.asks("another topic", func(ctx context.Context) error {
		_, err := client.CreateTopic(ctx, quietTopic, cfg.Partitions, talos.TopicConfig{})
		if errors.Is(err, talos.TopicExists) { // by an attempt whose answer was lost
			return nil
		}
		return err
	})
	for _, m := range w.nodes {
		w.awaitUp(m)
	}
	return w
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Use starts producers, followers and an observer.
func (w *World) Use(plan load.Plan) {
	w.T.Helper()
	w.producers = w.Scene.Load(plan)
	for i, m := range w.nodes[:2] {
		// Each knows one node at first, and finds the others by itself.
		w.followers = append(w.followers, w.Scene.FollowFrom(m.Address(), fmt.Sprintf("follower-%d", i+1), w.expected))
	}
	observer, err := load.StartObserver(w.T.Context(), w.Scene.Address(), scene.Topic, w.History, "observer")
	require.NoError(w.T, err)
	w.observer = observer
	w.T.Cleanup(w.unobserve)
	w.AwaitServed(w.History.Now())
}

func (w *World) unobserve() {
	if w.observer != nil {
		require.NoError(w.T, w.observer.Stop())
		w.observer = nil
	}
}

// Judge ends the load, and returns what is wrong with what everybody saw. All
// faults must be over.
func (w *World) Judge() []history.Anomaly {
	w.T.Helper()
	w.producers.Stop()
	if err := w.producers.Wait(); err != nil {
		w.T.Logf("producers met errors, which the history has, too: %v", err)
	}
	for _, f := range w.followers {
		w.Scene.CatchUp(f)
	}
	w.unobserve()
	return w.Scene.Judge()
}

// await waits for something that must happen, however slow the machine is.
func (w *World) await(what string, is func(ctx context.Context) bool) {
	w.T.Helper()
	require.True(w.T, w.happens(is), what)
}

// happens waits for something that may happen, or not.
func (w *World) happens(is func(ctx context.Context) bool) bool {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for deadline := time.Now().Add(scene.StepTimeout); time.Now().Before(deadline); <-ticker.C {
		ctx, cancel := context.WithTimeout(w.T.Context(), askTimeout)
		yes := is(ctx)
		cancel()
		if yes {
			return true
		}
	}
	return false
}

// AwaitServed waits until each partition has acknowledged a record that was sent
// after the moment.
func (w *World) AwaitServed(since history.Tick) {
	w.T.Helper()
	var served map[int32]int
	w.await("not all partitions are served", func(context.Context) bool {
		served = w.History.AckedIn(since)
		return len(served) == int(w.Config.Partitions)
	})
}

// awaitUp waits until a node knows the topics, whether it owns any of them or not.
func (w *World) awaitUp(m *member) {
	w.T.Helper()
	client, err := sdk.Dial(m.Listens())
	require.NoError(w.T, err)
	w.await(m.id+" does not answer", func(ctx context.Context) bool {
		topics, err := client.Topics(ctx)
		for _, topic := range topics {
			if topic.Name == quietTopic {
				w.quiet = topic.ID
			}
		}
		return err == nil && len(topics) == 2
	})
	require.NoError(w.T, client.Close())
}

// owned returns the partitions of each node, by its id, as far as their owners can
// be asked now.
func (w *World) owned(ctx context.Context) map[string][]int32 {
	all := map[string][]int32{}
	offsets, err := w.client.Offsets(ctx, scene.Topic)
	if err != nil {
		return all
	}
	for _, o := range offsets {
		if o.Err == nil {
			all[o.Owner] = append(all[o.Owner], o.Partition)
		}
	}
	return all
}

// busiest returns a node that owns a partition, the one with most of them more
// often than not, and what it owns.
func (w *World) busiest() (*member, []int32) {
	w.T.Helper()
	var owned map[string][]int32
	w.await("nobody owns anything", func(ctx context.Context) bool {
		owned = w.owned(ctx)
		return len(owned) > 0
	})
	ids := slices.Sorted(maps.Keys(owned))
	id := slices.MaxFunc(ids, func(a, b string) int { return len(owned[a]) - len(owned[b]) })
	if w.rng.IntN(2) == 0 {
		id = ids[w.rng.IntN(len(ids))]
	}
	return w.node(id), owned[id]
}

// owner returns a node that owns something, or some node if that is not known now.
func (w *World) owner() *member {
	ctx, cancel := context.WithTimeout(w.T.Context(), askTimeout)
	defer cancel()
	for id := range w.owned(ctx) {
		return w.node(id)
	}
	return w.any()
}

func (w *World) node(id string) *member {
	w.T.Helper()
	i := slices.IndexFunc(w.nodes, func(m *member) bool { return m.id == id })
	require.GreaterOrEqual(w.T, i, 0, "there is no node %q", id)
	return w.nodes[i]
}

// any returns some node.
func (w *World) any() *member { return w.nodes[w.rng.IntN(len(w.nodes))] }

// between draws a duration.
func (w *World) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

// pass lets time pass.
func (w *World) pass(d time.Duration) {
	w.T.Helper()
	select {
	case <-time.After(d):
	case <-w.T.Context().Done():
	}
}
