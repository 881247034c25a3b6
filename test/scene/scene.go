package scene

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/process"
)

const (
	// root is the repository's, from a package in test.
	root = "../.."
	// Topic is the one topic of a scene.
	Topic = talos.TopicName("logs")
	// StepTimeout bounds each thing that a test waits for: a producer or a consumer
	// that makes no progress for so long is stuck. HDFS may take 30 heartbeats of a
	// second for a recovery, and a busy machine ten times as long as an idle one.
	StepTimeout = 2 * time.Minute
	pollEvery   = 2 * time.Millisecond
	// final is the reader that reads everything at the end.
	final = "final"
)

var lines = sync.OnceValues(func() ([][]byte, error) { return load.Lines(root) })

// Codecs are those of the producers, one for each.
func Codecs() []batch.Codec {
	return []batch.Codec{batch.None, batch.Gzip, batch.Snappy, batch.Zstd, batch.LZ4}
}

// Lines are real log lines to send.
func Lines() ([][]byte, error) { return lines() }

// Random returns a generator for the test, and logs how to get it again.
func Random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("TALOS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("TALOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Scene is a node with one topic, and the history of what happens to it. Its
// methods belong to the test's goroutine.
type Scene struct {
	T *testing.T
	// Node is the one that Pass watches; a test with several may change it.
	Node    *process.Node
	History *history.History
	// address is where clients go: host:port of all nodes.
	address string
}

// Config says what to begin with.
type Config struct {
	Program    *process.Builder
	Partitions int32
	Topic      talos.TopicConfig
	// Args are more arguments of `talos dev`.
	Args []string
	// Nodes are nodes that run already, of which the first serves. Without any New
	// starts one.
	Nodes []*process.Node
}

// New starts a node, unless there are some, and makes the topic.
func New(t *testing.T, cfg Config) *Scene {
	t.Helper()
	nodes := cfg.Nodes
	if len(nodes) == 0 {
		binary, err := cfg.Program.Binary()
		require.NoError(t, err)
		node := process.New(t, process.Config{Binary: binary, Data: t.ArtifactDir(), Args: cfg.Args})
		node.Start()
		nodes = append(nodes, node)
	}
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Address())
	}
	s := &Scene{T: t, Node: nodes[0], History: history.New(), address: strings.Join(addresses, ",")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the history until the failure: %s", history.Report(s.History.Check(final)))
		}
	})
	client, err := sdk.Dial(s.address)
	require.NoError(t, err)
	s.Await("the topic is not made", func() bool {
		_, err = client.CreateTopic(t.Context(), Topic, cfg.Partitions, cfg.Topic)
		return err == nil || !talos.Retryable(err)
	})
	if !errors.Is(err, talos.TopicExists) { // by an attempt whose answer was lost
		require.NoError(t, err)
	}
	require.NoError(t, client.Close())
	return s
}

// Produce starts one producer for each codec, which send this many records each,
// or, with 0, until they are stopped.
func (s *Scene) Produce(records, window int, of []batch.Codec) *load.Producers {
	s.T.Helper()
	return s.Load(load.Plan{Codecs: of, Records: records, Window: window})
}

// Load starts producers; the scene says where they send, and what.
func (s *Scene) Load(plan load.Plan) *load.Producers {
	s.T.Helper()
	input, err := lines()
	require.NoError(s.T, err)
	plan.Address, plan.Topic, plan.Lines, plan.History = s.address, Topic, input, s.History
	ctx, cancel := context.WithCancel(context.Background())
	producers, err := load.StartProducers(ctx, plan)
	if err != nil {
		cancel()
	}
	require.NoError(s.T, err)
	s.T.Cleanup(func() {
		cancel()
		// What they met is known already, or is the end of their context.
		_ = producers.Wait()
	})
	return producers
}

// Follower is a reader that follows the topic while things happen to the node.
type Follower struct {
	reader *load.Reader
	cancel context.CancelFunc
	ended  chan error
}

// Follow starts a reader that follows the topic from its start on.
func (s *Scene) Follow() *Follower {
	s.T.Helper()
	return s.FollowFrom(s.address, "follower", nil)
}

// FollowFrom is Follow with a name, for a reader that knows some nodes only, and
// with the errors that it may meet.
func (s *Scene) FollowFrom(address, name string, expected func(error) bool) *Follower {
	s.T.Helper()
	reader, err := load.OpenReader(s.T.Context(), address, Topic, s.History, name)
	require.NoError(s.T, err)
	reader.Expected = expected
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{reader: reader, cancel: cancel, ended: make(chan error, 1)}
	go func() { f.ended <- reader.Follow(ctx) }()
	s.T.Cleanup(func() {
		cancel()
		f.ended <- <-f.ended
		require.NoError(s.T, reader.Close())
	})
	return f
}

// Await waits for something that must come.
func (s *Scene) Await(what string, is func() bool) {
	s.T.Helper()
	require.Eventually(s.T, is, StepTimeout, pollEvery, what)
}

// AwaitNewAcks waits until this many records have been acknowledged that were
// sent after the moment: by the node that runs now.
func (s *Scene) AwaitNewAcks(since history.Tick, n int) {
	s.T.Helper()
	s.Await("the producers make no progress", func() bool { return s.History.AckedOfSince(since) >= n })
}

// Pass lets time pass while the node runs.
func (s *Scene) Pass(d time.Duration) {
	s.T.Helper()
	select {
	case <-time.After(d):
	case <-s.Node.Ended():
		require.Fail(s.T, "the node ended by itself")
	}
}

// Address is where clients go: host:port of all nodes, with commas between them.
func (s *Scene) Address() string { return s.address }

// Finish ends the load, and compares what everybody saw. f may be nil.
func (s *Scene) Finish(producers *load.Producers, f *Follower) {
	s.T.Helper()
	s.End(producers)
	if f != nil {
		s.CatchUp(f)
	}
	if anomalies := s.Judge(); len(anomalies) > 0 {
		s.T.Errorf("the log broke its promises: %s", history.Report(anomalies))
	}
	s.T.Logf("%d records acknowledged", s.History.Acks())
}

// End lets the producers end, each record with its answer.
func (s *Scene) End(producers *load.Producers) {
	s.T.Helper()
	producers.Stop()
	require.NoError(s.T, producers.Wait())
}

// CatchUp waits until a follower got everything, and ends it.
func (s *Scene) CatchUp(f *Follower) {
	s.T.Helper()
	ends := s.History.Ends()
	s.Await("the follower does not get everything", func() bool { return f.reader.Reached(ends) || len(f.ended) > 0 })
	f.cancel()
	err := <-f.ended
	f.ended <- err
	require.NoError(s.T, err)
}

// Judge reads everything, and returns what is wrong with what everybody saw.
func (s *Scene) Judge() []history.Anomaly {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), StepTimeout)
	defer cancel()
	require.NoError(s.T, load.ReadAll(ctx, s.address, Topic, s.History, final))
	return s.History.Check(final)
}
