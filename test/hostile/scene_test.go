package hostile_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator/embedded"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	topic      = talos.TopicName("logs")
	partitions = 2
	// maxGrowth is how much memory hostile input may cost a node at its peak, in
	// bytes: far below what it claims to be.
	maxGrowth = 128 << 20
	// answerTimeout bounds each answer of the node.
	answerTimeout = 20 * time.Second
)

var program process.Builder

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := program.Remove(); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// scene is a node with one topic, and a connection to it.
type scene struct {
	t     *testing.T
	node  *process.Node
	topic talos.Topic
	conn  *grpc.ClientConn
	log   talosv1.LogClient
	admin talosv1.AdminClient
}

// newScene starts a node. When the test ends the node must still do its work,
// and must neither have panicked nor have taken much memory.
//
// With args it is `talos server` with these, over an etcd in the test's process.
func newScene(t *testing.T, args ...string) *scene {
	t.Helper()
	binary, err := program.Binary()
	require.NoError(t, err)
	cfg := process.Config{Binary: binary, Data: t.ArtifactDir()}
	if len(args) > 0 {
		etcd, err := embedded.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, etcd.Close()) })
		cfg.Server = true
		cfg.Args = append([]string{"--etcd", etcd.Endpoint(), "--store", "file://" + cfg.Data}, args...)
	}
	s := &scene{t: t, node: process.New(t, cfg)}
	s.node.Start()
	s.conn, err = grpc.NewClient("passthrough:///"+s.node.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(talos.DefaultLimits().ResponseBytes())))
	require.NoError(t, err)
	s.log, s.admin = talosv1.NewLogClient(s.conn), talosv1.NewAdminClient(s.conn)

	client := s.dial()
	s.topic, err = client.CreateTopic(t.Context(), topic, partitions, talos.TopicConfig{})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	s.mustWork()
	before := s.node.PeakMemory()
	t.Cleanup(func() {
		if t.Failed() {
			require.NoError(t, s.conn.Close())
			return
		}
		s.mustWork()
		require.NoError(t, s.conn.Close())
		growth := s.node.PeakMemory() - before
		t.Logf("peak memory grew by %d KiB", growth>>10)
		require.Less(t, growth, int64(maxGrowth))
		for _, word := range []string{"panic", "goroutine", "fatal error", "internal error"} {
			require.NotContains(t, s.node.Words(), word)
		}
	})
	return s
}

// settings makes a configuration file.
func settings(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talos.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// works tells whether the node answers at all.
func (s *scene) works() bool {
	ctx, cancel := contextWithTimeout()
	defer cancel()
	client := s.dial()
	_, err := client.Topics(ctx)
	require.NoError(s.t, client.Close())
	return err == nil
}

func (s *scene) dial() *sdk.Client {
	s.t.Helper()
	client, err := sdk.Dial(s.node.Address())
	require.NoError(s.t, err)
	return client
}

// mustWork makes sure that the node serves clients that behave.
func (s *scene) mustWork() {
	s.t.Helper()
	// Not the test's context: this runs at its end as well.
	ctx, cancel := contextWithTimeout()
	defer cancel()
	client := s.dial()
	producer, err := client.NewProducer(ctx, topic)
	require.NoError(s.t, err)
	delivery, err := producer.SendSync(ctx, 0, talos.Record{Value: []byte("still here")})
	require.NoError(s.t, err)
	require.NoError(s.t, producer.Close(ctx))
	consumer, err := client.NewConsumer(ctx, topic, sdk.ConsumerPartitions(0), sdk.ConsumerStart(sdk.At(delivery.Offset)))
	require.NoError(s.t, err)
	messages, err := consumer.Poll(ctx)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, messages)
	require.Equal(s.t, delivery.Offset, messages[0].Offset)
	require.Equal(s.t, "still here", string(messages[0].Value))
	require.NoError(s.t, consumer.Close())
	require.NoError(s.t, client.Close())
}

// kindOf returns the kind that a call's error carries, or "" and the gRPC code
// if it has none.
func kindOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if e, ok := detail.(*talosv1.Error); ok {
			return e.GetKind()
		}
	}
	return "no kind, " + status.Code(err).String()
}

// requireTyped makes sure that an error is one of the table, as the table has it.
func requireTyped(t *testing.T, want talos.Kind, e *talosv1.Error) {
	t.Helper()
	require.NotNil(t, e, "want the error %s", want)
	require.Equal(t, string(want), e.GetKind(), e.GetMessage())
	class := want.Class()
	require.Equal(t, int32(class.Code), e.GetCode())
	require.Equal(t, class.Retryable, e.GetRetryable())
	require.Equal(t, class.Hint, e.GetHint())
	require.NotEmpty(t, e.GetMessage())
}
