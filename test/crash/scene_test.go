package crash_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
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
	"go.uber.org/goleak"
)

const (
	// root is the repository's, from here.
	root  = "../.."
	topic = talos.TopicName("logs")
	// stepTimeout bounds each thing that a test waits for: a producer or a consumer
	// that makes no progress for so long is stuck.
	stepTimeout = 30 * time.Second
	pollEvery   = 2 * time.Millisecond
	// final is the reader that reads everything at the end.
	final = "final"
)

var (
	// released is the program as users run it, instrumented the one that can kill
	// itself and shows its appends in flight.
	released     process.Builder
	instrumented = process.Builder{Tags: []string{"failpoints"}}

	lines = sync.OnceValues(func() ([][]byte, error) { return load.Lines(root) })
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, b := range []*process.Builder{&released, &instrumented} {
			if err := b.Remove(); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}))
}

// codecs are those of the producers, one for each.
func codecs() []batch.Codec {
	return []batch.Codec{batch.None, batch.Gzip, batch.Snappy, batch.Zstd, batch.LZ4}
}

// random returns a generator for the test, and logs how to get it again.
func random(t *testing.T) *rand.Rand {
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

// scene is a node with one topic, and the history of what happens to it.
type scene struct {
	t       *testing.T
	node    *process.Node
	history *history.History
}

// newScene starts a node and makes the topic.
func newScene(t *testing.T, program *process.Builder, partitions int32, cfg talos.TopicConfig) *scene {
	t.Helper()
	binary, err := program.Binary()
	require.NoError(t, err)
	s := &scene{t: t, node: process.New(t, process.Config{Binary: binary, Data: t.ArtifactDir()}), history: history.New()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the history until the failure: %s", history.Report(s.history.Check(final)))
		}
	})
	s.node.Start()
	client, err := sdk.Dial(s.node.Address())
	require.NoError(t, err)
	_, err = client.CreateTopic(t.Context(), topic, partitions, cfg)
	require.NoError(t, err)
	require.NoError(t, client.Close())
	return s
}

// produce starts one producer for each codec, which send this many records each,
// or, with 0, until they are stopped.
func (s *scene) produce(records, window int, of []batch.Codec) *load.Producers {
	s.t.Helper()
	input, err := lines()
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	producers, err := load.StartProducers(ctx, load.Plan{
		Address: s.node.Address(), Topic: topic, Codecs: of,
		Records: records, Window: window, Lines: input, History: s.history,
	})
	if err != nil {
		cancel()
	}
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		cancel()
		// What they met is known already, or is the end of their context.
		_ = producers.Wait()
	})
	return producers
}

// follower is a reader that follows the topic while things happen to the node.
type follower struct {
	reader *load.Reader
	cancel context.CancelFunc
	ended  chan error
}

func (s *scene) follow() *follower {
	s.t.Helper()
	reader, err := load.OpenReader(s.t.Context(), s.node.Address(), topic, s.history, "follower")
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{reader: reader, cancel: cancel, ended: make(chan error, 1)}
	go func() { f.ended <- reader.Follow(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		f.ended <- <-f.ended
		require.NoError(s.t, reader.Close())
	})
	return f
}

// await waits for something that must come.
func (s *scene) await(what string, is func() bool) {
	s.t.Helper()
	require.Eventually(s.t, is, stepTimeout, pollEvery, what)
}

// awaitNewAcks waits until this many records have been acknowledged that were
// sent after the moment: by the node that runs now.
func (s *scene) awaitNewAcks(since history.Tick, n int) {
	s.t.Helper()
	s.await("the producers make no progress", func() bool { return s.history.AckedOfSince(since) >= n })
}

// pass lets time pass while the node runs.
func (s *scene) pass(d time.Duration) {
	s.t.Helper()
	select {
	case <-time.After(d):
	case <-s.node.Ended():
		require.Fail(s.t, "the node ended by itself")
	}
}

// finish ends the load, and compares what everybody saw. f may be nil.
func (s *scene) finish(producers *load.Producers, f *follower) {
	s.t.Helper()
	producers.Stop()
	require.NoError(s.t, producers.Wait())
	if f != nil {
		ends := s.history.Ends()
		s.await("the follower does not get everything", func() bool { return f.reader.Reached(ends) || len(f.ended) > 0 })
		f.cancel()
		err := <-f.ended
		f.ended <- err
		require.NoError(s.t, err)
	}
	reader, err := load.OpenReader(s.t.Context(), s.node.Address(), topic, s.history, final)
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), stepTimeout)
	defer cancel()
	require.NoError(s.t, reader.ReadToEnd(ctx))
	require.NoError(s.t, reader.Close())
	if anomalies := s.history.Check(final); len(anomalies) > 0 {
		s.t.Errorf("the log broke its promises: %s", history.Report(anomalies))
	}
	s.t.Logf("%d records acknowledged", s.history.Acks())
}
