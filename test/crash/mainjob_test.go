package crash_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/scene"
)

// Four producers send real log files, each all of them, with four compressions.
// The node is killed several times in the middle and started again on the same
// folder. Nobody who uses the log may notice.
func TestTheMainJobSurvivesKills(t *testing.T) {
	const (
		kills      = 4
		firstShare = 0.30
		lastShare  = 0.70
		// slack is what may be acknowledged between the decision to kill and the kill.
		slack = 0.05
	)
	rng := scene.Random(t)
	s := newScene(t, &released, 4, talos.TopicConfig{SegmentBytes: 1 << 20})
	input, err := scene.Lines()
	require.NoError(t, err)
	four := scene.Codecs()[:4]
	total := len(input) * len(four)
	follower := s.Follow()
	since := s.History.Now()
	producers := s.Produce(len(input), 500, four)

	step := (lastShare - firstShare - slack) / kills
	for kill := range kills {
		at := firstShare + step*(float64(kill)+0.8*rng.Float64())
		s.Await("the job gets to the next kill", func() bool { return s.History.Acks() >= int(at*float64(total)) })
		s.Node.Kill()
		share := float64(s.History.Acks()) / float64(total)
		require.GreaterOrEqual(t, share, firstShare)
		require.LessOrEqual(t, share, lastShare)
		require.Positive(t, s.History.AckedOfSince(since), "the killed process had acknowledged records itself")
		t.Logf("kill %d at %.1f %%", kill+1, 100*share)
		since = s.History.Now()
		s.Node.Start()
		s.AwaitNewAcks(since, 1)
	}
	require.NoError(t, producers.Wait())
	require.Equal(t, total, s.History.Acks())
	s.Finish(producers, follower)
}
