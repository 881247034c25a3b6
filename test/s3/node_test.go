package s3_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

// outage is how long the server is gone.
const outage = 30 * time.Second

var released process.Builder

// Four producers send real log files, each all of them, with four compressions,
// to a node over S3. In the middle the node is killed, then the server for half a
// minute, then the node again while the server stands still. Nobody who uses the log
// may notice.
func TestTheMainJobSurvivesKillsAndAnOutage(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	server := minio.Own(t)
	require.NoError(t, server.MakeBucket(t.Context(), "bucket"))
	rng := scene.Random(t)
	s := scene.New(t, scene.Config{
		Program: &released, Partitions: 4, Topic: talos.TopicConfig{SegmentBytes: 1 << 20},
		Args: []string{"--store", server.StoreURL("bucket", "some/prefix").String()},
	})
	input, err := scene.Lines()
	require.NoError(t, err)
	four := scene.Codecs()[:4]
	total := len(input) * len(four)
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
		{"the server is killed, for a while", func() {
			require.NoError(t, server.Kill())
			s.Pass(outage)
			require.NoError(t, server.Start(t.Context()))
		}},
		{"the node is killed while the server stands still", func() {
			require.NoError(t, server.Stop())
			s.Node.Kill()
			require.NoError(t, server.Continue())
			s.Node.Start()
		}},
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
	t.Logf("took %v", time.Since(begun).Round(100*time.Millisecond))
}
