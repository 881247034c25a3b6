package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{Limits: talos.Limits{RecordBytes: -1}})
	require.ErrorIs(t, err, talos.InvalidConfig)
	for _, fault := range []string{"id", "address", "store", "coordinator", "record limit"} {
		require.ErrorContains(t, err, fault)
	}
}

func TestRecordsOutliveTheNode(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	require.NoError(t, n.stop())

	n = c.start(t, "n2")
	require.Equal(t, []string{"0 a"}, values(t, n.fetch(t, topic.GetId(), 0, 0, patience).GetBatches()))
	acked := n.producer(t).produce(topic, 0, newBatch(t, "b"))
	require.Equal(t, int64(1), acked.GetBaseOffset())
	require.Equal(t, int32(2), acked.GetEpoch())
}

// A node in good order seals what it hands over.
func TestANodeThatStopsSealsItsSegments(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	require.NoError(t, n.stop())

	listing, err := c.store.List(t.Context(), idOf(t, topic).String()+"/0")
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1)
	require.True(t, listing.Segments[0].Sealed)
}

// Two nodes share the partitions: each knows whose one is, and the records of
// both can be read. When the session of one ends, the other takes its partitions,
// and it has some again later.
func TestNodesShareThePartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, second := c.start(t, "n1"), c.start(t, "n2")
		topic := first.createTopic(t, "logs", 8)
		owners := second.awaitShared(t, topic, "n1", "n2")
		nodes := map[string]*testNode{"n1": first, "n2": second}
		for p, owner := range owners {
			other := nodes[map[string]string{"n1": "n2", "n2": "n1"}[owner]]
			nodes[owner].producer(t).produce(topic, int32(p), newBatch(t, "a"))
			refused := other.producer(t)
			refused.send(topic.GetId(), int32(p), newBatch(t, "a"))
			e := refused.receive().GetError()
			require.Equal(t, string(talos.NotOwner), e.GetKind())
			require.Equal(t, owner+".example:7070", e.GetOwnerAddress())
			require.True(t, e.GetRetryable())
			e = other.fetch(t, topic.GetId(), int32(p), 0, 0).GetError()
			require.Equal(t, owner+".example:7070", e.GetOwnerAddress())
		}

		first.kv.EndSessions()
		for p := range owners {
			acked := second.owner(t, nodes, topic, int32(p)).producer(t).produce(topic, int32(p), newBatch(t, "b"))
			require.Equal(t, int64(1), acked.GetBaseOffset())
		}
		first.awaitServing(t)
		second.awaitShared(t, topic, "n1", "n2")
		for p := range owners {
			read := second.owner(t, nodes, topic, int32(p)).all(t, topic.GetId(), int32(p))
			require.Equal(t, []string{"0 a", "1 b"}, read)
		}
	})
}

// owners returns each partition's owner, as the node tells it.
func (n *testNode) owners(t *testing.T, topic *talosv1.Topic) []string {
	t.Helper()
	metadata, err := n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{topic.GetName()}})
	require.NoError(t, err)
	var owners []string
	for _, p := range metadata.GetTopics()[0].GetPartitions() {
		owners = append(owners, p.GetOwner())
	}
	return owners
}

// awaitShared waits until each of the nodes, and nobody else, owns something, and
// nothing moves.
func (n *testNode) awaitShared(t *testing.T, topic *talosv1.Topic, nodes ...string) []string {
	t.Helper()
	require.Eventually(t, func() bool { return n.shared(t, topic, nodes...) }, patience, time.Millisecond)
	return n.owners(t, topic)
}

func (n *testNode) shared(t *testing.T, topic *talosv1.Topic, nodes ...string) bool {
	t.Helper()
	distinct := slices.Compact(slices.Sorted(slices.Values(n.owners(t, topic))))
	moving := len(n.meta.View().Assignment(idOf(t, topic)).Next)
	return slices.Equal(nodes, distinct) && moving == 0
}

// owner waits until the partition has an owner that serves it.
func (n *testNode) owner(t *testing.T, nodes map[string]*testNode, topic *talosv1.Topic, partition int32) *testNode {
	t.Helper()
	var owner *testNode
	require.Eventually(t, func() bool {
		owner = nodes[n.owners(t, topic)[partition]]
		return owner != nil && owner.fetch(t, topic.GetId(), partition, 0, 0).GetError() == nil
	}, patience, time.Millisecond)
	return owner
}

// refusal returns the error that calls end with for which a node must be
// registered.
func (n *testNode) refusal(t *testing.T) *talosv1.Error {
	t.Helper()
	_, fetched := n.log.Fetch(t.Context(), &talosv1.FetchRequest{})
	_, listed := n.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{})
	_, created := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 1})
	_, deleted := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	_, inited := n.log.InitProducer(t.Context(), &talosv1.InitProducerRequest{})
	e := detail(t, fetched)
	for _, err := range []error{listed, created, deleted, inited} {
		require.Equal(t, e.GetKind(), detail(t, err).GetKind())
	}
	return e
}

// Without a registration a node owns nothing and says so; what it knows of the
// cluster it still tells. Back again, it has its partitions as before.
func TestANodeThatIsNotRegisteredServesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		n := c.start(t, "n1")
		topic := n.createTopic(t, "logs", 1)
		p := n.producer(t)
		p.produce(topic, 0, newBatch(t, "a"))

		c.away.Store(true)
		n.kv.EndSessions()
		require.Eventually(t, func() bool { return n.term.Load() == nil }, patience, time.Millisecond)
		e := n.refusal(t)
		require.Equal(t, string(talos.NotServing), e.GetKind())
		require.Contains(t, e.GetMessage(), "not registered")
		require.True(t, e.GetRetryable())
		require.ErrorContains(t, n.Ready(), "not registered")
		p.send(topic.GetId(), 0, newBatch(t, "lost"))
		require.Equal(t, string(talos.NotServing), p.receive().GetError().GetKind())
		listed, err := n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetTopics(), 1)
		require.InDelta(t, 0, n.value(t, "talos_server_open_partitions"), 0)

		c.away.Store(false)
		n.awaitServing(t)
		require.Equal(t, int64(1), p.produce(topic, 0, newBatch(t, "b")).GetBaseOffset())
		require.Equal(t, []string{"0 a", "1 b"}, n.all(t, topic.GetId(), 0))
		require.InDelta(t, 2, n.value(t, "talos_server_registrations_total"), 0)
	})
}

func TestALongPollEndsWithTheRegistration(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	fetched := make(chan *talosv1.FetchedPartition, 1)
	go func() { fetched <- n.fetch(t, topic.GetId(), 0, 1, time.Hour) }()
	n.awaitPolls(t, 1)

	n.kv.EndSessions()
	e := (<-fetched).GetError()
	require.Equal(t, string(talos.NotServing), e.GetKind(), e.GetMessage())
	require.True(t, e.GetRetryable())
}

// A stream that is open while the node ends gets the answers of what was taken,
// and then an error that may be retried.
func TestOpenStreamsEndWithTheNode(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	ended := make(chan error, 1)
	go func() {
		_, err := p.stream.Recv()
		ended <- err
	}()

	require.NoError(t, n.stop())
	e := detail(t, <-ended)
	require.Equal(t, string(talos.NotServing), e.GetKind())
	require.Contains(t, e.GetMessage(), "shutting down")
}

func TestANodeEndsIfItCannotListen(t *testing.T) {
	n := newCluster().prepare(t, "n1")
	defer n.meta.Close()
	require.NoError(t, n.rpc.Close())
	err := n.Run(t.Context(), Listeners{RPC: n.rpc, HTTP: n.http})
	require.ErrorContains(t, err, "serve RPC")
}

func TestMetricsOfTwoNodesDoNotMix(t *testing.T) {
	c := newCluster()
	first := c.start(t, "n1")
	second := c.prepare(t, "n2")
	second.cfg.Registerer = first.registry
	defer second.meta.Close()
	require.ErrorContains(t, second.Run(t.Context(), Listeners{RPC: second.rpc, HTTP: second.http}), "metrics")
	require.NoError(t, first.stop())
	families, err := first.registry.Gather()
	require.NoError(t, err)
	require.Empty(t, families)
}

// outside starts a node that can't register.
func (c *cluster) outside(t *testing.T, id string) *testNode {
	t.Helper()
	n := c.prepare(t, id)
	// Another process has its id, and had it before this one lost it.
	require.NoError(t, n.meta.Register(t.Context()))
	other := c.prepare(t, id)
	t.Cleanup(other.meta.Close)
	require.NoError(t, other.meta.Register(t.Context()))
	<-n.meta.Lost()
	return n.run(t)
}

func TestHTTPPages(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	n.fetch(t, topic.GetId(), 0, 0, 0)
	waiting := c.outside(t, "n2")

	for _, test := range []struct {
		node *testNode
		path string
		code int
		want string
	}{
		{n, "/healthz", http.StatusOK, "ok"},
		{n, "/readyz", http.StatusOK, "ready"},
		{n, "/metrics", http.StatusOK, "talos_server_appended_batches_total 1"},
		{n, "/metrics", http.StatusOK, "talos_server_append_seconds_count 1"},
		{n, "/metrics", http.StatusOK, "talos_server_open_partitions 1"},
		{n, "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile"},
		{n, "/other", http.StatusNotFound, "not found"},
		{waiting, "/healthz", http.StatusOK, "ok"},
		{waiting, "/readyz", http.StatusServiceUnavailable, "not registered"},
	} {
		t.Run(test.node.cfg.NodeID+test.path, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://node"+test.path, nil)
			require.NoError(t, err)
			response, err := test.node.web.Do(request)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, test.code, response.StatusCode)
			require.Contains(t, string(body), test.want)
		})
	}
}

func TestReadinessFollowsTheStore(t *testing.T) {
	c := newCluster()
	c.store = faulty.New(c.store, func(call faulty.Call) faulty.Fault {
		if call.Op == faulty.List && call.ID.Folder == probeFolder {
			return faulty.Fault{Before: faulty.Fail(errors.New("connection refused"))}
		}
		return faulty.Fault{}
	})
	n := c.start(t, "n1")
	require.Eventually(t, func() bool { return n.Ready() != nil }, patience, time.Millisecond)
	require.ErrorContains(t, n.Ready(), "connection refused")
}

func TestGRPCHealthTellsWhetherTheNodeServes(t *testing.T) {
	c := newCluster()
	first := c.start(t, "n1")
	second := c.outside(t, "n2")
	for _, service := range []string{"", "talos.v1.Log", "talos.v1.Admin", "talos.v1.Cluster"} {
		for n, want := range map[*testNode]grpc_health_v1.HealthCheckResponse_ServingStatus{
			first:  grpc_health_v1.HealthCheckResponse_SERVING,
			second: grpc_health_v1.HealthCheckResponse_NOT_SERVING,
		} {
			response, err := grpc_health_v1.NewHealthClient(n.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
			require.NoError(t, err)
			require.Equal(t, want, response.GetStatus())
		}
	}
}

func TestRandomBytesAtThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCluster().start(t, "n1")
		for _, bytes := range [][]byte{
			[]byte("GET / HTTP/1.1\r\n\r\n"),
			make([]byte, 1<<10),
			[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		} {
			conn, err := n.rpc.DialContext(t.Context())
			require.NoError(t, err)
			go func() {
				// The node may hang up before all is written.
				_, _ = conn.Write(bytes)
			}()
			_, err = io.Copy(io.Discard, conn)
			require.NoError(t, err, "the node hangs up")
			require.NoError(t, conn.Close())
		}
		halfOpen, err := n.rpc.DialContext(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, halfOpen.Close()) })
		n.producer(t).produce(n.createTopic(t, "logs", 1), 0, newBatch(t, "a"))
	})
}

// calledStream is a stream of which only the context matters.
type calledStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s calledStream) Context() context.Context { return s.ctx }

func TestAPanicIsAnErrorOfItsCallOnly(t *testing.T) {
	n := newCluster().start(t, "n1")
	admitted := &call{memory: &reservation{node: n.answerBytes, connection: semaphore.NewWeighted(plainBytes), held: &n.metrics.answerBytes}}
	_, err := n.interceptUnary(context.WithValue(t.Context(), callKey{}, admitted), nil, &grpc.UnaryServerInfo{FullMethod: "/x"}, func(context.Context, any) (any, error) {
		panic("a bug")
	})
	require.Equal(t, string(talos.Internal), detail(t, err).GetKind())
	err = n.interceptStream(nil, calledStream{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: "/x"}, func(any, grpc.ServerStream) error { panic("a bug") })
	require.Equal(t, string(talos.Internal), detail(t, err).GetKind())
	require.InDelta(t, 2, n.value(t, "talos_server_panics_total"), 0)
}
