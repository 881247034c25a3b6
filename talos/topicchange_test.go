package talos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTopicChangeTouchesWhatItNames(t *testing.T) {
	old := Topic{Name: "logs", ID: TopicID{1}, Partitions: 4, Config: TopicConfig{SegmentBytes: 1 << 20, RetentionMillis: 5000}}
	same, err := TopicChange{}.Apply(old)
	require.NoError(t, err)
	require.Equal(t, old, same)

	partitions, forEver, bytes, flush := int32(8), int64(0), int64(1<<30), Flush
	change := TopicChange{Partitions: &partitions, RetentionMillis: &forEver, RetentionBytes: &bytes, Durability: &flush}
	want := Topic{
		Name: "logs", ID: TopicID{1}, Partitions: 8,
		Config: TopicConfig{SegmentBytes: 1 << 20, RetentionBytes: 1 << 30, Durability: Flush},
	}
	for range 2 {
		old, err = change.Apply(old)
		require.NoError(t, err)
		require.Equal(t, want, old)
	}
}

func TestTopicChangeRefusesWhatCanNotBe(t *testing.T) {
	topic := Topic{Name: "logs", Partitions: 4}
	fewer, many, little := int32(3), int32(MaxPartitions+1), int64(1)
	for _, c := range []TopicChange{
		{Partitions: &fewer}, {Partitions: &many}, {SegmentBytes: &little}, {RetentionMillis: &little}, {RetentionBytes: &little},
	} {
		_, err := c.Apply(topic)
		require.ErrorIs(t, err, InvalidConfig)
	}
}
