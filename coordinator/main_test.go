package coordinator_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longTTL is longer than any test: who waits for a session's end by time fails.
const longTTL = time.Hour

// patience bounds how long a test waits for an event that comes.
const patience = 30 * time.Second

// handle is one client of a store, as one process has it.
type handle struct {
	coordinator.KV
	// crash leaves the sessions of the handle alive, and ends the rest of it.
	crash func()
	// endSessions ends the sessions of the handle at the store, as if their time
	// to live were over.
	endSessions func()
}

// eachDriver runs the test over an empty store of each driver; open makes a
// client of that store.
func eachDriver(t *testing.T, test func(t *testing.T, open func() handle)) {
	t.Run("mem", func(t *testing.T) {
		store := mem.New()
		test(t, func() handle {
			kv := store.Handle()
			return handle{KV: kv, crash: func() {}, endSessions: kv.EndSessions}
		})
	})
	t.Run("etcd", func(t *testing.T) {
		server := startEtcd(t, filepath.Join(t.TempDir(), "etcd"))
		test(t, func() handle { return openEtcd(t, server) })
	})
}

func startEtcd(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), dir, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

func openEtcd(t *testing.T, server *embedded.Server) handle {
	t.Helper()
	kv, err := etcd.Open(etcd.Config{Endpoints: []string{server.Endpoint()}, SessionTTL: longTTL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	return handle{
		KV:          kv,
		crash:       func() { require.NoError(t, kv.Close()) },
		endSessions: func() { revokeAll(t, server) },
	}
}

// revokeAll ends every lease. Only one handle of a test has a session when it
// is called.
func revokeAll(t *testing.T, server *embedded.Server) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	leases, err := client.Leases(t.Context())
	require.NoError(t, err)
	for _, lease := range leases.Leases {
		_, err := client.Revoke(t.Context(), lease.ID)
		require.NoError(t, err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// openMeta opens the metadata as a node whose id is given.
func openMeta(t *testing.T, kv coordinator.KV, id string, opts ...coordinator.Option) *coordinator.Meta {
	t.Helper()
	m, err := coordinator.Open(t.Context(), kv, nodeNamed(id), quiet(), opts...)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func nodeNamed(id string) coordinator.Node {
	return coordinator.Node{ID: id, Address: id + ".example:7070"}
}

// registered opens a Meta whose node is a member.
func registered(t *testing.T, kv coordinator.KV, id string) *coordinator.Meta {
	t.Helper()
	m := openMeta(t, kv, id)
	require.NoError(t, m.Register(t.Context()))
	return m
}

func newTopic(name talos.TopicName) talos.Topic {
	return talos.Topic{Name: name, ID: talos.NewTopicID(), Partitions: 4}
}

// createTopic records a topic, and returns the id of its partition 0.
func createTopic(t *testing.T, m *coordinator.Meta, name talos.TopicName) talos.PartitionID {
	t.Helper()
	topic := newTopic(name)
	require.NoError(t, m.CreateTopic(t.Context(), topic, nil))
	return talos.PartitionID{Topic: topic.ID}
}

// ownTopic records a topic whose partitions are all a node's, and returns the id
// of its partition 0.
func ownTopic(t *testing.T, m *coordinator.Meta, name talos.TopicName, node string) talos.PartitionID {
	t.Helper()
	id := createTopic(t, m, name)
	assign(t, m, id.Topic, node, nil)
	return id
}

// assign makes all partitions of a topic a node's.
func assign(t *testing.T, m *coordinator.Meta, topic talos.TopicID, node string, next map[int32]string) {
	t.Helper()
	require.NoError(t, m.Assign(t.Context(), topic, []string{node, node, node, node}, next))
}

func awaitClosed(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-ch:
	case <-ctx.Done():
		require.Fail(t, "did not happen in time: "+what)
	}
}

func isOpen(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return false
	default:
		return true
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(to))
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}
