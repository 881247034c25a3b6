package hdfs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/scene"
)

// Four producers send real log files, each all of them, with four compressions,
// to a node over HDFS. In the middle the node is killed, then a DataNode together
// with the node, then the node again. Nobody who uses the log may notice.
func TestTheMainJobSurvivesKillsOfNodeAndDataNodes(t *testing.T) {
	cluster := running(t)
	rng := scene.Random(t)
	s := nodeScene(t, cluster.StoreForTest(t), 4, talos.TopicConfig{SegmentBytes: 1 << 20})
	input, err := scene.Lines()
	require.NoError(t, err)
	four := scene.Codecs()[:4]
	total := len(input) * len(four)
	victim := cluster.DataNodes()[rng.IntN(3)]
	follower := s.Follow()
	since := s.History.Now()
	producers := s.Produce(len(input), 500, four)

	killNode := func() {
		s.Node.Kill()
		require.Positive(t, s.History.AckedOfSince(since), "the killed process had acknowledged records itself")
		s.Node.Start()
	}
	steps := []struct {
		what string
		do   func()
	}{
		{"the node is killed", killNode},
		{"a DataNode and at once the node are killed", func() { victim.Kill(t); killNode() }},
		{"the node is killed while a DataNode is gone", killNode},
	}
	for i, step := range steps {
		at := 0.2 + 0.15*(float64(i)+0.8*rng.Float64())
		s.Await("the job gets to the next step", func() bool { return s.History.Acks() >= int(at*float64(total)) })
		t.Logf("at %.1f %% %s", 100*float64(s.History.Acks())/float64(total), step.what)
		step.do()
		since = s.History.Now()
		s.AwaitNewAcks(since, 1)
	}
	require.Less(t, s.History.Acks(), total, "the last kill came in the middle")
	require.NoError(t, producers.Wait())
	require.Equal(t, total, s.History.Acks())
	s.Finish(producers, follower)
}
