package server

import (
	"context"
	"errors"
	"io"
	"net/http"
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

// The second node waits, and says who serves; when the first one's session is
// over it serves itself, and the first one waits.
func TestAClaimIsLostAndRegained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := c.start(t, "n1")
		topic := first.createTopic(t, "logs", 1)
		p := first.producer(t)
		p.produce(topic, 0, newBatch(t, "a"))
		second := c.prepare(t, "n2").run(t)
		second.awaitKnowing(t, "n1")

		e := second.refusal(t)
		require.Equal(t, string(talos.NotOwner), e.GetKind())
		require.Equal(t, "n1.example:7070", e.GetOwnerAddress())
		require.True(t, e.GetRetryable())
		require.ErrorContains(t, second.Ready(), "n1")
		metadata, err := second.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs"}})
		require.NoError(t, err, "any node answers metadata")
		require.Equal(t, "n1", metadata.GetTopics()[0].GetPartitions()[0].GetOwner())
		listed, err := second.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetTopics(), 1)

		first.yieldTo(t, second)
		acked := second.producer(t).produce(topic, 0, newBatch(t, "b"))
		require.Equal(t, int64(1), acked.GetBaseOffset())
		first.awaitKnowing(t, "n2")
		require.Error(t, first.Ready())
		p.send(topic.GetId(), 0, newBatch(t, "lost"))
		require.Equal(t, "n2.example:7070", p.receive().GetError().GetOwnerAddress())
		require.InDelta(t, 0, first.value(t, "talos_server_open_partitions"), 0)

		second.yieldTo(t, first)
		require.Equal(t, int64(2), p.produce(topic, 0, newBatch(t, "c")).GetBaseOffset())
		require.Equal(t, []string{"0 a", "1 b", "2 c"}, first.all(t, topic.GetId(), 0))
	})
}

// yieldTo ends the node's sessions until the other one has the claim: both try
// to win it.
func (n *testNode) yieldTo(t *testing.T, other *testNode) {
	t.Helper()
	require.Eventually(t, func() bool {
		if other.term.Load() != nil {
			return true
		}
		n.kv.EndSessions()
		return false
	}, patience, time.Millisecond)
}

// awaitKnowing waits until a node that does not serve knows the active one.
func (n *testNode) awaitKnowing(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		owner, ok := n.health.owner()
		return n.term.Load() == nil && ok && owner.ID == id
	}, patience, time.Millisecond)
}

// refusal returns the error that all calls of a node that waits end with.
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

func TestALongPollEndsWithTheClaim(t *testing.T) {
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

func TestHTTPPages(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	n.fetch(t, topic.GetId(), 0, 0, 0)
	waiting := c.prepare(t, "n2").run(t)
	waiting.awaitKnowing(t, "n1")

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
		{waiting, "/readyz", http.StatusServiceUnavailable, "the active node is n1"},
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
	second := c.prepare(t, "n2").run(t)
	second.awaitKnowing(t, "n1")
	for _, service := range []string{"", "talos.v1.Log", "talos.v1.Admin"} {
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
