package crash_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
	"github.com/talos-log/talos/test/scene"
)

// The node kills itself at each step of opening a partition, of starting, of
// writing and of ending a segment: before the step, after it, and halfway where
// there is a half. Under load, after an earlier kill that has left segments open.
func TestDeathAtEachStep(t *testing.T) {
	steps := map[failpoint.Op]struct {
		when []failpoint.When
		// numbers: there are two partitions, so 1 and 2 are those of opening them and
		// of their first segment; 3 is a roll.
		numbers []int
	}{
		failpoint.Raise:   {bothSides, []int{1, 2}},
		failpoint.List:    {bothSides, []int{1, 2}},
		failpoint.Recover: {bothSides, []int{1, 2}},
		failpoint.Open:    {bothSides, []int{1, 2}},
		failpoint.Create:  {withHalf, []int{1, 2, 3}},
		failpoint.Swap:    {bothSides, []int{1, 2, 3}},
		failpoint.Append:  {withHalf, []int{1, 2, 9}},
		failpoint.Seal:    {bothSides, []int{1, 2}},
		failpoint.Load:    {bothSides, []int{1, 3}},
	}
	for op, step := range steps {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, &instrumented, 2, talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes})
			follower := s.Follow()
			producers := s.Produce(0, 64, scene.Codecs())
			s.AwaitNewAcks(s.History.Now(), ackedBetweenDeaths)
			for _, when := range step.when {
				for _, n := range step.numbers {
					dieAt(s, failpoint.Point{Op: op, When: when, N: n})
				}
			}
			s.Finish(producers, follower)
		})
	}
}

var (
	bothSides = []failpoint.When{failpoint.Before, failpoint.After}
	withHalf  = []failpoint.When{failpoint.Before, failpoint.Half, failpoint.After}
)

// ackedBetweenDeaths is how many records a node acknowledges before it is killed
// again: enough to leave an open segment in each partition.
const ackedBetweenDeaths = 100

// dieAt kills the node, so that it leaves open segments, lets the next process
// die at the point, and the one after that serve.
func dieAt(s *scene.Scene, point failpoint.Point) {
	s.T.Helper()
	s.Node.Kill()
	s.Node.Launch(failpoint.PointEnv + "=" + point.String())
	s.Node.AwaitDeath()
	require.Contains(s.T, s.Node.Words(), failpoint.Announcement(point), "it died of something else")
	since := s.History.Now()
	s.Node.Start()
	s.AwaitNewAcks(since, ackedBetweenDeaths)
}

// The node dies while it makes a topic. Afterwards the topic is there or not,
// and if not, it can be made.
func TestDeathWhileATopicIsMade(t *testing.T) {
	for _, point := range []string{
		"manifest-create:before:1", "manifest-create:half:1", "manifest-create:after:1",
		"manifest-seal:before:1", "manifest-seal:after:1",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			const other = talos.TopicName("other")
			s := newScene(t, &instrumented, 1, talos.TopicConfig{})
			s.Node.Stop()
			s.Node.Start(failpoint.PointEnv + "=" + point)
			client, err := sdk.Dial(s.Node.Address())
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Close()) }()
			_, err = client.CreateTopic(t.Context(), other, 1, talos.TopicConfig{})
			require.Error(t, err)
			s.Node.AwaitDeath()

			s.Node.Start()
			_, err = client.CreateTopic(t.Context(), other, 1, talos.TopicConfig{})
			if err != nil {
				require.ErrorIs(t, err, talos.TopicExists)
			}
			producer, err := client.NewProducer(t.Context(), other)
			require.NoError(t, err)
			delivery, err := producer.SendSync(t.Context(), 0, talos.Record{Value: []byte("x")})
			require.NoError(t, err)
			require.Zero(t, delivery.Offset)
			require.NoError(t, producer.Close(t.Context()))
			topics, err := client.Topics(t.Context())
			require.NoError(t, err)
			require.Len(t, topics, 2)
		})
	}
}
