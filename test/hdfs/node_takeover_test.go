package hdfs_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

// Two nodes share an etcd and an HDFS. One is stopped (SIGSTOP) while it appends; the
// other takes its partitions over when its session is over; then the first goes on.
// What it acknowledges afterwards, if anything, is what was durable before it was
// stopped: the history would show all else. It registers again, gets its share
// back in good order, and the other one is the next to be stopped.
func TestADeposedOwnerAcknowledgesNothing(t *testing.T) {
	const (
		maxAcks  = 200
		maxDelay = 30 * time.Millisecond
	)
	t.Parallel()
	timed(t)
	rounds := hadoop.Rounds(5, 20)
	rng := scene.Random(t)
	p := newPair(t, running(t).StoreForTest(t))
	s := p.scene
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())

	inFlight := 0
	for round := range rounds {
		stopped, other := p.nodes[round%2], p.nodes[1-round%2]
		p.awaitOwners(stopped, other)
		s.Node = stopped.Node
		s.AwaitNewAcks(s.History.Now(), 1+rng.IntN(maxAcks))
		s.Pass(time.Duration(rng.Int64N(int64(maxDelay))))
		if round%5 == 0 {
			stopped.Pause()
		} else {
			s.PauseInAppend(stopped.gauge)
		}
		if s.Appending(stopped.gauge) {
			inFlight++
		}
		since := s.History.Now()
		p.awaitOwners(other)
		if round == rounds/2 {
			// The producers find the new owner by themselves: when their pings of the old
			// one have no answer for long.
			s.AwaitNewAcks(since, 1)
		} // else the first goes on while its partitions are opened by the other
		stopped.Resume()
	}
	t.Logf("%d of %d owners were stopped with an append in flight", inFlight, rounds)
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Finish(producers, follower)
	require.GreaterOrEqual(t, inFlight, rounds*3/4)
}

// pair are two nodes over one etcd and one store.
type pair struct {
	t     *testing.T
	nodes [2]*member
	scene *scene.Scene
	// view is what etcd says of them.
	view *coordinator.View
}

// member is one of them. It shows its appends in the gauge.
type member struct {
	*process.Node
	gauge string
}

func newPair(t *testing.T, store string) *pair {
	t.Helper()
	server, err := embedded.Start(t.Context(), filepath.Join(t.TempDir(), "etcd"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	t.Cleanup(func() { require.NoError(t, instrumented.Remove()) })
	binary, err := instrumented.Binary()
	require.NoError(t, err)
	kv, err := etcd.Open(etcd.Config{Endpoints: []string{server.Endpoint()}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	watching, err := coordinator.Open(t.Context(), kv, coordinator.Node{ID: "watching", Address: "none"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(watching.Close)
	p := &pair{t: t, view: watching.View()}
	var nodes []*process.Node
	for i := range p.nodes {
		node := process.New(t, process.Config{Binary: binary, Server: true, Args: []string{
			"--etcd", server.Endpoint(), "--store", store, "--session-ttl", "2s",
		}})
		m := &member{Node: node, gauge: filepath.Join(t.TempDir(), "gauge")}
		p.nodes[i], nodes = m, append(nodes, node)
		m.Start(failpoint.GaugeEnv + "=" + m.gauge)
	}
	p.scene = scene.New(t, scene.Config{
		Partitions: 2, Topic: talos.TopicConfig{SegmentBytes: 1 << 20}, Nodes: nodes,
	})
	return p
}

// awaitOwners waits until exactly these own partitions, and none moves.
func (p *pair) awaitOwners(nodes ...*member) {
	p.t.Helper()
	var want []string
	for _, m := range nodes {
		want = append(want, m.Address())
	}
	slices.Sort(want)
	require.Eventually(p.t, func() bool {
		topic, ok := p.view.Topic(scene.Topic)
		a := p.view.Assignment(topic.ID)
		return ok && len(a.Next) == 0 && slices.Equal(want, slices.Compact(slices.Sorted(slices.Values(a.Owners))))
	}, scene.StepTimeout, 5*time.Millisecond, "owners are not %v", want)
}
