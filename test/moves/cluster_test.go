package moves_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topicName = talos.TopicName("logs")
	// patience bounds each thing that a test waits for.
	patience = 2 * time.Minute
	tick     = 2 * time.Millisecond
)

// cluster is what nodes share, and the nodes.
type cluster struct {
	t     *testing.T
	etcd  *embedded.Server
	open  func() storage.Store
	nodes map[string]*node
	kv    *etcd.KV
	// watching sees what is in etcd.
	watching *coordinator.Meta
}

// node is one of them; it keeps its address over restarts.
type node struct {
	*server.Node
	id, address string
	meta        *coordinator.Meta
	kv          *etcd.KV
	end         context.CancelFunc
	ended       chan error
}

// eachStore runs a test over each store.
func eachStore(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Run("mem", func(t *testing.T) {
		store := mem.New()
		test(t, newCluster(t, func() storage.Store { return store }))
	})
	t.Run("local", func(t *testing.T) {
		test(t, newCluster(t, localStores(t)))
	})
}

// localStores returns what opens one folder, for each node by itself.
func localStores(t *testing.T) func() storage.Store {
	folder := t.TempDir()
	return func() storage.Store {
		store, err := local.Open(folder, local.Options{})
		require.NoError(t, err)
		return store
	}
}

func newCluster(t *testing.T, open func() storage.Store) *cluster {
	t.Helper()
	server, err := embedded.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	c := &cluster{t: t, etcd: server, open: open, nodes: make(map[string]*node)}
	c.kv = c.client()
	t.Cleanup(func() { require.NoError(t, c.kv.Close()) })
	c.watching, err = coordinator.Open(t.Context(), c.kv, coordinator.Node{ID: "watching", Address: "none"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(c.watching.Close)
	t.Cleanup(func() {
		for _, n := range c.nodes {
			c.stop(n.id)
		}
	})
	return c
}

func (c *cluster) client() *etcd.KV {
	c.t.Helper()
	kv, err := etcd.Open(etcd.Config{Endpoints: []string{c.etcd.Endpoint()}, SessionTTL: 10 * time.Second})
	require.NoError(c.t, err)
	return kv
}

// start starts a node that does not run.
func (c *cluster) start(id string) *node {
	c.t.Helper()
	n := c.nodes[id]
	if n == nil {
		n = &node{id: id, address: "127.0.0.1:0"}
		c.nodes[id] = n
	}
	l, err := net.Listen("tcp", n.address)
	require.NoError(c.t, err)
	n.address, n.kv = l.Addr().String(), c.client()
	logger := slog.New(slog.NewTextHandler(c.t.Output(), nil)).With("node", id)
	n.meta, err = coordinator.Open(c.t.Context(), n.kv, coordinator.Node{ID: id, Address: n.address}, logger)
	require.NoError(c.t, err)
	store := c.open()
	n.Node, err = server.New(server.Config{NodeID: id, Address: n.address, Store: store, Meta: n.meta, Logger: logger, Drain: time.Minute})
	require.NoError(c.t, err)
	var ctx context.Context
	ctx, n.end = context.WithCancel(context.Background())
	n.ended = make(chan error, 1)
	go func() { n.ended <- n.Run(ctx, server.Listeners{RPC: l}) }()
	c.await("the node serves", func() bool { return n.Ready() == nil })
	return n
}

// stop ends a node in good order, if it runs.
func (c *cluster) stop(id string) {
	c.t.Helper()
	n := c.nodes[id]
	if n.Node == nil {
		return
	}
	n.end()
	require.NoError(c.t, <-n.ended)
	n.meta.Close()
	require.NoError(c.t, n.kv.Close())
	n.Node = nil
}

// addresses are those of all nodes.
func (c *cluster) addresses() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.address)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func (c *cluster) createTopic(partitions int32) talos.Topic {
	c.t.Helper()
	client, err := sdk.Dial(c.addresses())
	require.NoError(c.t, err)
	topic, err := client.CreateTopic(c.t.Context(), topicName, partitions, talos.TopicConfig{})
	require.NoError(c.t, err)
	require.NoError(c.t, client.Close())
	return topic
}

func (c *cluster) await(what string, holds func() bool) {
	c.t.Helper()
	require.Eventually(c.t, holds, patience, tick, what)
}

// assignment is the topic's, as etcd has it.
func (c *cluster) assignment() coordinator.Assignment {
	topic, _ := c.watching.View().Topic(topicName)
	return c.watching.View().Assignment(topic.ID)
}

// awaitOwners waits until each of these nodes, and nobody else, owns its share of the
// partitions, and nothing moves.
func (c *cluster) awaitOwners(ids ...string) {
	c.t.Helper()
	slices.Sort(ids)
	c.await("owners are "+strings.Join(ids, ", "), func() bool {
		a := c.assignment()
		counts := make(map[string]int)
		for _, owner := range a.Owners {
			counts[owner]++
		}
		least, most := len(a.Owners), 0
		for _, n := range counts {
			least, most = min(least, n), max(most, n)
		}
		return len(a.Next) == 0 && most-least <= 1 && slices.Equal(ids, slices.Sorted(maps.Keys(counts)))
	})
}

// loseSession ends a node's registration in etcd, as if it had not been heard of.
func (c *cluster) loseSession(id string) {
	c.t.Helper()
	lost := c.nodes[id].meta.Lost()
	revision, err := c.kv.Commit(c.t.Context(), nil, []coordinator.Op{coordinator.Delete("/talos/v1/view/nodes/" + id)})
	require.NoError(c.t, err)
	require.NotZero(c.t, revision)
	select {
	case <-lost:
	case <-time.After(patience):
		require.Fail(c.t, "the node does not notice")
	}
}
