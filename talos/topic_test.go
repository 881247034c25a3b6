package talos_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"pgregory.net/rapid"
)

func TestTopicNames(t *testing.T) {
	for _, good := range []talos.TopicName{
		"a", "logs", "Logs-2.raw_x", "...", "_", "-", talos.TopicName(strings.Repeat("x", talos.MaxTopicNameLength)),
	} {
		require.NoError(t, good.Validate(), "%q", good)
	}
	for bad, says := range map[talos.TopicName]string{
		"":       "it is empty",
		".":      "relative path",
		"..":     "relative path",
		"a/b":    "only letters",
		"a b":    "only letters",
		"é":      "only letters",
		"a\n":    "only letters",
		"\xff":   "only letters",
		"a\x00b": "only letters",
		talos.TopicName(strings.Repeat("x", talos.MaxTopicNameLength+1)): "250 characters, the limit is 249",
	} {
		err := bad.Validate()
		require.ErrorIs(t, err, talos.InvalidTopicName, "%q", bad)
		require.ErrorContains(t, err, says, "%q", bad)
	}
}

func TestTopicIDs(t *testing.T) {
	first, second := talos.NewTopicID(), talos.NewTopicID()
	require.NotEqual(t, first, second)
	rapid.Check(t, func(t *rapid.T) {
		var id talos.TopicID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		parsed, err := talos.ParseTopicID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, parsed)
		require.Regexp(t, "^[0-9a-f]{32}$", id.String())
	})
	for _, bad := range []string{
		"", "00", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("g", 32),
		strings.Repeat("A", 32), "0123456789abcdef0123456789abcde-",
	} {
		_, err := talos.ParseTopicID(bad)
		require.Error(t, err, "%q", bad)
	}
}

// The manifest in the store has this form.
func TestTopicInJSON(t *testing.T) {
	topic := talos.Topic{Name: "logs", ID: talos.TopicID{0xab, 15: 1}, Partitions: 4, Config: talos.TopicConfig{SegmentMillis: 1000}}
	b, err := json.Marshal(topic)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"logs","id":"ab000000000000000000000000000001","partitions":4,"config":{"segment_ms":1000}}`, string(b))
	var back talos.Topic
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, topic, back)
	require.Error(t, json.Unmarshal([]byte(`{"id":"AB000000000000000000000000000001"}`), &back))
}

func TestTopicConfig(t *testing.T) {
	bytes, age := talos.TopicConfig{}.SegmentLimits()
	require.EqualValues(t, talos.DefaultSegmentBytes, bytes)
	require.Equal(t, talos.DefaultSegmentAge, age)

	require.Equal(t, talos.Sync, talos.TopicConfig{}.Acknowledges())
	require.Equal(t, talos.Flush, talos.TopicConfig{Durability: talos.Flush}.Acknowledges())

	set := talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes, SegmentMillis: 1500}
	require.NoError(t, set.Validate())
	bytes, age = set.SegmentLimits()
	require.EqualValues(t, talos.MinSegmentBytes, bytes)
	require.Equal(t, 1500*time.Millisecond, age)

	err := talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes - 1, SegmentMillis: -1, Durability: "some"}.Validate()
	require.ErrorIs(t, err, talos.InvalidConfig)
	require.ErrorContains(t, err, "segment_bytes is 65535", "every fault is named")
	require.ErrorContains(t, err, "segment_ms is -1")
	require.ErrorContains(t, err, `durability is "some", want sync or flush`)
}

func TestPartitionID(t *testing.T) {
	id := talos.PartitionID{Topic: talos.TopicID{1}, Number: 12}
	require.Equal(t, "01000000000000000000000000000000/12", id.String())
}
