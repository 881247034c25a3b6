package hdfs_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

// What a node logs, once each time: that it is active, that it is not any more, and
// that it waits for another one.
const (
	saysActive  = "this node is active now"
	saysDeposed = "this node is no longer active"
	saysWaiting = "waiting for another node to end"
)

// Two nodes share an etcd and an HDFS. The active one is stopped (SIGSTOP) while it
// appends; the other one takes over when its session is over; then the first goes
// on. It says that it was deposed, and what it acknowledges afterwards, if anything,
// is what was durable before it was stopped: the history would show all else. It
// is the standby of the next round.
func TestADeposedOwnerAcknowledgesNothing(t *testing.T) {
	const (
		rounds   = 20
		hits     = 15
		maxAcks  = 200
		maxDelay = 30 * time.Millisecond
	)
	timed(t)
	rng := scene.Random(t)
	p := newPair(t, storeURL(t, running(t)))
	s := p.scene
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())

	inFlight := 0
	for round := range rounds {
		active, standby := p.nodes[round%2], p.nodes[1-round%2]
		s.Node = active.Node
		s.AwaitNewAcks(s.History.Now(), 1+rng.IntN(maxAcks))
		s.Pass(time.Duration(rng.Int64N(int64(maxDelay))))
		if round%5 == 0 {
			active.Pause()
		} else {
			s.PauseInAppend(active.gauge)
		}
		if s.Appending(active.gauge) {
			inFlight++
		}
		since := s.History.Now()
		standby.await(saysActive)
		switch {
		case round == rounds/2:
			// The producers find the new owner by themselves: when their pings of the old
			// one have no answer for long.
			s.AwaitNewAcks(since, 1)
		case rng.IntN(2) == 0:
			standby.open()
		default: // the first goes on while its partitions are opened by the other
		}
		active.Resume()
		active.await(saysDeposed)
		active.await(saysWaiting)
	}
	t.Logf("%d of %d owners were stopped with an append in flight", inFlight, rounds)
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Finish(producers, follower)
	require.GreaterOrEqual(t, inFlight, hits)
}

// pair are two nodes over one etcd and one store. The first begins as the active
// one.
type pair struct {
	nodes [2]*member
	scene *scene.Scene
}

// member is one of them. It shows its appends in the gauge.
type member struct {
	*process.Node
	t     *testing.T
	gauge string
	// said counts what it has logged and await has seen.
	said map[string]int
}

func newPair(t *testing.T, store string) *pair {
	t.Helper()
	etcd, err := embedded.Start(t.Context(), filepath.Join(t.TempDir(), "etcd"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Close()) })
	t.Cleanup(func() { require.NoError(t, instrumented.Remove()) })
	binary, err := instrumented.Binary()
	require.NoError(t, err)
	p := &pair{}
	var nodes []*process.Node
	for i := range p.nodes {
		node := process.New(t, process.Config{Binary: binary, Server: true, Args: []string{
			"--etcd", etcd.Endpoint(), "--store", store, "--session-ttl", "2s",
		}})
		m := &member{Node: node, t: t, gauge: filepath.Join(t.TempDir(), "gauge"), said: map[string]int{}}
		p.nodes[i], nodes = m, append(nodes, node)
		m.Launch(failpoint.GaugeEnv + "=" + m.gauge)
		if i == 0 {
			m.await(saysActive)
		} else {
			m.await(saysWaiting)
		}
	}
	p.scene = scene.New(t, scene.Config{
		Partitions: 2, Topic: talos.TopicConfig{SegmentBytes: 1 << 20}, Nodes: nodes,
	})
	return p
}

// open makes the node open all partitions: they open with their first use.
func (m *member) open() {
	m.t.Helper()
	client, err := sdk.Dial(m.Address())
	require.NoError(m.t, err)
	defer func() { require.NoError(m.t, client.Close()) }()
	ctx, cancel := context.WithTimeout(m.t.Context(), scene.StepTimeout)
	defer cancel()
	_, err = client.Offsets(ctx, scene.Topic)
	require.NoError(m.t, err)
}

// await waits until the node has logged something once more.
func (m *member) await(words string) {
	m.t.Helper()
	m.said[words]++
	require.Eventually(m.t, func() bool { return strings.Count(m.Words(), words) >= m.said[words] },
		scene.StepTimeout, 5*time.Millisecond, "the node does not say %q", words)
}
