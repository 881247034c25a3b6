package crash_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
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
	rng := random(t)
	// Small segments, so that kills come before, in and after a roll as well.
	s := newScene(t, &instrumented, 8, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	gauge := filepath.Join(t.TempDir(), "gauge")
	follower := s.follow()
	producers := s.produce(0, 64, codecs())
	s.awaitNewAcks(s.history.Now(), 1)
	s.node.Kill()

	inFlight := 0
	for kill := range kills {
		since := s.history.Now()
		s.node.Start(failpoint.GaugeEnv + "=" + gauge)
		s.awaitNewAcks(since, 1+rng.IntN(maxAcks))
		s.pass(time.Duration(rng.Int64N(int64(maxDelay))))
		if kill%5 != 0 {
			s.stopInAppend(gauge)
		}
		s.node.Kill()
		if appending(t, gauge) {
			inFlight++
		}
	}
	t.Logf("%d of %d kills hit an append in flight", inFlight, kills)
	s.node.Start()
	s.awaitNewAcks(s.history.Now(), 1)
	s.finish(producers, follower)
	require.GreaterOrEqual(t, inFlight, hits)
}

// stopInAppend stops the node (SIGSTOP) while an append is in flight.
func (s *scene) stopInAppend(gauge string) {
	s.t.Helper()
	for deadline := time.Now().Add(stepTimeout); time.Now().Before(deadline); {
		if !appending(s.t, gauge) {
			continue // without a pause: appends are short
		}
		s.node.Pause()
		if appending(s.t, gauge) {
			return
		}
		s.node.Resume()
	}
	require.Fail(s.t, "there is no append anymore")
}

func appending(t *testing.T, gauge string) bool {
	t.Helper()
	issued, completed, err := failpoint.ReadGauge(gauge)
	require.NoError(t, err)
	return issued > completed
}

// The node dies while it starts: while etcd does, while partitions are opened,
// shortly after. It must come up all the same.
func TestKillsDuringTheStart(t *testing.T) {
	const (
		kills    = 10
		maxDelay = 400 * time.Millisecond
	)
	rng := random(t)
	s := newScene(t, &released, 8, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	follower := s.follow()
	producers := s.produce(0, 64, codecs())
	for range kills {
		since := s.history.Now()
		s.awaitNewAcks(since, 1)
		s.node.Kill()
		s.node.Launch()
		s.pass(time.Duration(rng.Int64N(int64(maxDelay))))
		s.node.Kill()
		s.node.Start()
	}
	s.awaitNewAcks(s.history.Now(), 1)
	s.finish(producers, follower)
}

// A node that is stopped for longer than its lease in etcd lives must not go on
// as if nothing had happened, and must go on.
func TestAPauseLongerThanTheLease(t *testing.T) {
	t.Parallel()
	const pause = 12 * time.Second
	s := newScene(t, &released, 4, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
	follower := s.follow()
	producers := s.produce(0, 64, codecs())
	s.awaitNewAcks(s.history.Now(), 1)
	s.node.Pause()
	s.pass(pause)
	since := s.history.Now()
	s.node.Resume()
	s.awaitNewAcks(since, 1)
	s.finish(producers, follower)
}
