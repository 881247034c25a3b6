package crash_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
	"github.com/talos-log/talos/test/scene"
)

// The node dies 50 times at random moments under load. That an append was in
// flight at a kill is read from two counters that the process keeps in a shared
// mapping, which survives it: more appends were issued to the store than it had
// completed. Most kills stop the process, from their random moment on, until it
// stands still in an append, and kill it there; every fifth hits whatever there
// is.
func TestFiftyKillsUnderLoad(t *testing.T) {
	const (
		kills = 50
		hits  = 40
		// Before a kill up to maxAcks records are acknowledged, and up to maxDelay
		// passes.
		maxAcks  = 300
		maxDelay = 30 * time.Millisecond
	)
	rng := scene.Random(t)
	// Small segments, so that kills come before, in and after a roll as well.
	s := newScene(t, &instrumented, 8, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	gauge := filepath.Join(t.TempDir(), "gauge")
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Node.Kill()

	inFlight := 0
	for kill := range kills {
		since := s.History.Now()
		s.Node.Start(failpoint.GaugeEnv + "=" + gauge)
		s.AwaitNewAcks(since, 1+rng.IntN(maxAcks))
		s.Pass(time.Duration(rng.Int64N(int64(maxDelay))))
		if kill%5 != 0 {
			s.PauseInAppend(gauge)
		}
		s.Node.Kill()
		if s.Appending(gauge) {
			inFlight++
		}
	}
	t.Logf("%d of %d kills hit an append in flight", inFlight, kills)
	s.Node.Start()
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Finish(producers, follower)
	require.GreaterOrEqual(t, inFlight, hits)
}

// The node dies while it starts: while etcd does, while partitions are opened,
// shortly after. It must come up all the same.
func TestKillsDuringTheStart(t *testing.T) {
	const (
		kills    = 10
		maxDelay = 400 * time.Millisecond
	)
	rng := scene.Random(t)
	s := newScene(t, &released, 8, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())
	for range kills {
		since := s.History.Now()
		s.AwaitNewAcks(since, 1)
		s.Node.Kill()
		s.Node.Launch()
		s.Pass(time.Duration(rng.Int64N(int64(maxDelay))))
		s.Node.Kill()
		s.Node.Start()
	}
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Finish(producers, follower)
}

// A node that is stopped for longer than its lease in etcd lives must not go on
// as if nothing had happened, and must go on.
func TestAPauseLongerThanTheLease(t *testing.T) {
	t.Parallel()
	const pause = 12 * time.Second
	s := newScene(t, &released, 4, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	follower := s.Follow()
	producers := s.Produce(0, 64, scene.Codecs())
	s.AwaitNewAcks(s.History.Now(), 1)
	s.Node.Pause()
	s.Pass(pause)
	since := s.History.Now()
	s.Node.Resume()
	s.AwaitNewAcks(since, 1)
	s.Finish(producers, follower)
}
