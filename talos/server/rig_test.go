package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator"
	metamem "github.com/talos-log/talos/coordinator/mem"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// cluster is what outlives nodes: a store, and the coordinator's data.
type cluster struct {
	store storage.Store
	kv    *metamem.KV
	// loseAnswer makes the next change of a topic answer with an error though it
	// was applied; with thenAway, the coordinator is away from then on.
	loseAnswer, thenAway, away atomic.Bool
	// loseRegistration does the same for the next change of a registration.
	loseRegistration atomic.Bool
	// noMoves makes writes of assignments fail.
	noMoves atomic.Bool
	// deaf are the nodes, by their ids, that hear of no change until the channel is
	// closed.
	deaf sync.Map
}

// flakyKV is the coordinator's data as the cluster's switches let it appear.
type flakyKV struct {
	coordinator.KV
	cluster *cluster
	node    string
}

var errNoAnswer = &talos.Error{Kind: talos.MetaUnavailable, Op: "test", Detail: "no answer"}

func (kv flakyKV) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	if kv.cluster.away.Load() {
		return nil, errNoAnswer
	}
	return kv.KV.Load(ctx, keys...)
}

func (kv flakyKV) List(ctx context.Context, prefix string) ([]coordinator.Entry, error) {
	if kv.cluster.away.Load() {
		return nil, errNoAnswer
	}
	return kv.KV.List(ctx, prefix)
}

func (kv flakyKV) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if kv.cluster.noMoves.Load() && strings.Contains(ops[0].Key, "assignments/") {
		return 0, errNoAnswer
	}
	revision, err := kv.KV.Commit(ctx, conds, ops)
	if strings.Contains(ops[0].Key, "topics/") && kv.cluster.loseAnswer.CompareAndSwap(true, false) {
		kv.cluster.away.Store(kv.cluster.thenAway.Load())
		return 0, errNoAnswer
	}
	if strings.Contains(ops[0].Key, "nodes/") && kv.cluster.loseRegistration.CompareAndSwap(true, false) {
		return 0, errNoAnswer
	}
	return revision, err
}

func (kv flakyKV) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	return kv.KV.Watch(ctx, prefix, func(u coordinator.Update) {
		if until, ok := kv.cluster.deaf.Load(kv.node); ok {
			<-until.(chan struct{})
		}
		take(u)
	})
}

func newCluster() *cluster { return &cluster{store: mem.New(), kv: metamem.New()} }

// testNode is a running node and a client of it.
type testNode struct {
	*Node
	meta     *coordinator.Meta
	kv       *metamem.KV
	registry *prometheus.Registry
	rpc      *bufconn.Listener
	http     *bufconn.Listener
	conn     *grpc.ClientConn
	log      talosv1.LogClient
	admin    talosv1.AdminClient
	web      *http.Client
	// stop ends the node in good order, once, and returns what Run returned.
	stop func() error
}

// prepare makes a node that does not run yet.
func (c *cluster) prepare(t *testing.T, id string, edits ...func(*Config)) *testNode {
	t.Helper()
	n := &testNode{kv: c.kv.Handle(), registry: prometheus.NewRegistry(), rpc: bufconn.Listen(1 << 20), http: bufconn.Listen(1 << 16)}
	address := id + ".example:7070"
	var err error
	n.meta, err = coordinator.Open(t.Context(), flakyKV{n.kv, c, id}, coordinator.Node{ID: id, Address: address}, testLogger(t))
	require.NoError(t, err)
	cfg := Config{
		NodeID: id, Address: address, Version: "v0.0.0-test", Store: c.store, Meta: n.meta,
		Logger: testLogger(t), Registerer: n.registry, Gatherer: n.registry,
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	n.Node, err = New(cfg)
	require.NoError(t, err)
	return n
}

// run starts the node, and stops it with the test at the latest.
func (n *testNode) run(t *testing.T) *testNode {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, Listeners{RPC: n.rpc, HTTP: n.http}) }()
	conn, err := grpc.NewClient("passthrough:node",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return n.rpc.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(talos.DefaultLimits().ResponseBytes())))
	require.NoError(t, err)
	n.conn = conn
	n.log, n.admin = talosv1.NewLogClient(conn), talosv1.NewAdminClient(conn)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.http.DialContext(ctx) }}
	n.web = &http.Client{Transport: transport}
	stopped := false
	n.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		err := <-ended
		n.meta.Close()
		transport.CloseIdleConnections()
		require.NoError(t, conn.Close())
		return err
	}
	t.Cleanup(func() { require.NoError(t, n.stop()) })
	return n
}

// start starts a node and waits until it serves.
func (c *cluster) start(t *testing.T, id string, edits ...func(*Config)) *testNode {
	t.Helper()
	n := c.prepare(t, id, edits...).run(t)
	n.awaitServing(t)
	return n
}

func (n *testNode) awaitServing(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return n.term.Load() != nil }, patience, time.Millisecond)
}

// testLogger shows the log of a test that fails.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (n *testNode) createTopic(t *testing.T, name string, partitions int32) *talosv1.Topic {
	t.Helper()
	response, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: name, Partitions: partitions})
	require.NoError(t, err)
	return response.GetTopic()
}

// producer is one stream of Produce.
type producer struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[talosv1.ProduceRequest, talosv1.ProduceResponse]
	sent   uint64
}

func (n *testNode) producer(t *testing.T) *producer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := n.log.Produce(ctx)
	require.NoError(t, err)
	return &producer{t: t, stream: stream}
}

// send sends one request under the next id, from 1 on.
func (p *producer) send(topic []byte, partition int32, b []byte) {
	p.t.Helper()
	p.sent++
	require.NoError(p.t, p.stream.Send(&talosv1.ProduceRequest{Id: p.sent, TopicId: topic, Partition: partition, Batch: b}))
}

func (p *producer) receive() *talosv1.ProduceResponse {
	p.t.Helper()
	response, err := p.stream.Recv()
	require.NoError(p.t, err)
	return response
}

// produce sends one batch, again after errors that allow it, and returns its
// acknowledgement.
func (p *producer) produce(topic *talosv1.Topic, partition int32, b []byte) *talosv1.Appended {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		p.send(topic.GetId(), partition, b)
		response := p.receive()
		require.Equal(p.t, p.sent, response.GetId())
		if e := response.GetError(); e.GetRetryable() && time.Now().Before(deadline) {
			<-time.After(time.Millisecond) // lets virtual time pass
			continue
		}
		require.Nil(p.t, response.GetError())
		return response.GetAppended()
	}
}

// newBatch makes a batch of no producer, one record for each value.
func newBatch(t *testing.T, values ...string) []byte {
	t.Helper()
	builder := batch.NewBuilder(&batch.Compressor{})
	for _, v := range values {
		builder.Add(&talos.Record{Value: []byte(v)}, time.UnixMilli(1_700_000_000_000))
	}
	b, err := builder.Build(batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1})
	require.NoError(t, err)
	return b
}

// values returns the records' values of batches.
func values(t *testing.T, batches []byte) []string {
	t.Helper()
	var all []string
	for b, err := range batch.All(batches) {
		require.NoError(t, err)
		for r, err := range batch.Records(b.Bytes, talos.DefaultRecordBytes) {
			require.NoError(t, err)
			all = append(all, fmt.Sprintf("%d %s", r.Offset, r.Value))
		}
	}
	return all
}

// fetch reads one partition.
func (n *testNode) fetch(t *testing.T, topic []byte, partition int32, offset int64, wait time.Duration) *talosv1.FetchedPartition {
	t.Helper()
	response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
		Partitions: []*talosv1.FetchPartition{{TopicId: topic, Partition: partition, Offset: offset}},
		MaxWaitMs:  int32(wait.Milliseconds()),
	})
	require.NoError(t, err)
	require.Len(t, response.GetPartitions(), 1)
	return response.GetPartitions()[0]
}

// all returns all records of a partition; one fetch may return less.
func (n *testNode) all(t *testing.T, topic []byte, partition int32) []string {
	t.Helper()
	var read []string
	for {
		fetched := n.fetch(t, topic, partition, int64(len(read)), patience)
		require.Nil(t, fetched.GetError())
		read = append(read, values(t, fetched.GetBatches())...)
		if len(read) >= int(fetched.GetRange().GetEnd()) {
			return read
		}
	}
}

// detail returns the typed error of a call that failed, whose code must be that
// of its kind.
func detail(t *testing.T, err error) *talosv1.Error {
	t.Helper()
	s, ok := status.FromError(err)
	require.True(t, ok, "%v", err)
	require.Len(t, s.Details(), 1, "%v", err)
	e, ok := s.Details()[0].(*talosv1.Error)
	require.True(t, ok)
	require.Equal(t, talos.Kind(e.GetKind()).Class().Code, s.Code())
	return e
}

// value returns what a metric without labels shows now.
func (n *testNode) value(t *testing.T, name string) float64 {
	t.Helper()
	families, err := n.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.Fail(t, "no such metric", name)
	return 0
}
