package coordinator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func TestTopic_Life(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		logs, audit := newTopic("logs"), newTopic("audit")
		logs.Config.SegmentBytes = 1 << 20
		require.NoError(t, m.CreateTopic(t.Context(), logs, nil))
		require.NoError(t, m.CreateTopic(t.Context(), audit, nil))

		topics, err := m.Topics(t.Context())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]talos.Topic{audit, logs}, topics), "sorted by name")
		found, err := m.Topic(t.Context(), "logs")
		require.NoError(t, err)
		require.Equal(t, logs, found)

		assign(t, m, logs.ID, "a", nil)
		assign(t, m, audit.ID, "a", nil)
		for number := range logs.Partitions {
			_, err := m.Record(talos.PartitionID{Topic: logs.ID, Number: number}).Raise(t.Context())
			require.NoError(t, err)
		}
		_, err = m.Record(talos.PartitionID{Topic: audit.ID}).Raise(t.Context())
		require.NoError(t, err)

		deleted, err := m.DeleteTopic(t.Context(), "logs")
		require.NoError(t, err)
		require.Equal(t, logs, deleted)
		require.Equal(t, []string{"/talos/v1/records/" + audit.ID.String() + "/0"}, list(t, kv, "/talos/v1/records/"))
		_, err = m.Topic(t.Context(), "logs")
		require.ErrorIs(t, err, talos.UnknownTopic)
		left, err := m.Deleted(t.Context())
		require.NoError(t, err)
		require.Equal(t, []talos.Topic{logs}, left)

		require.NoError(t, m.Forget(t.Context(), logs.ID))
		require.NoError(t, m.Forget(t.Context(), logs.ID))
		left, err = m.Deleted(t.Context())
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestCreateTopic_Refused(t *testing.T) {
	store := mem.New()
	m := openMeta(t, store, "a")
	logs := newTopic("logs")
	require.NoError(t, m.CreateTopic(t.Context(), logs, nil))
	gone := newTopic("gone")
	require.NoError(t, m.CreateTopic(t.Context(), gone, nil))
	_, err := m.DeleteTopic(t.Context(), "gone")
	require.NoError(t, err)
	before := list(t, store, "/")

	for name, c := range map[string]struct {
		topic talos.Topic
		want  talos.Kind
	}{
		"the name is taken":     {newTopic("logs"), talos.TopicExists},
		"the id is taken":       {talos.Topic{Name: "other", ID: logs.ID, Partitions: 1}, talos.InvalidRequest},
		"the id was used":       {gone, talos.InvalidRequest},
		"no id":                 {talos.Topic{Name: "other", Partitions: 1}, talos.InvalidRequest},
		"no partitions":         {talos.Topic{Name: "other", ID: talos.NewTopicID()}, talos.InvalidRequest},
		"too many partitions":   {talos.Topic{Name: "other", ID: talos.NewTopicID(), Partitions: talos.MaxPartitions + 1}, talos.InvalidRequest},
		"a name with a slash":   {newTopic("a/b"), talos.InvalidTopicName},
		"a configuration fault": {talos.Topic{Name: "other", ID: talos.NewTopicID(), Partitions: 1, Config: talos.TopicConfig{SegmentBytes: 1}}, talos.InvalidConfig},
	} {
		require.ErrorIs(t, m.CreateTopic(t.Context(), c.topic, nil), c.want, name)
	}
	require.Equal(t, before, list(t, store, "/"), "nothing was written")
}

// The first attempt was carried out, but its caller could not know.
func TestCreateTopic_MayBeRepeatedAfterAnUnknownOutcome(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := openMeta(t, kv, "a")
	topic := newTopic("logs")
	kv.failCommits(lostReply, 1)
	require.ErrorIs(t, m.CreateTopic(t.Context(), topic, nil), talos.MetaUnavailable)
	require.NoError(t, m.CreateTopic(t.Context(), topic, nil))
}

func TestDeleteTopic_OfAnUnknownName(t *testing.T) {
	m := openMeta(t, mem.New(), "a")
	_, err := m.DeleteTopic(t.Context(), "logs")
	require.ErrorIs(t, err, talos.UnknownTopic)
}

func TestDeleteTopic_EndsTheRecordsForGood(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		old, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
		_, err = m.DeleteTopic(t.Context(), "logs")
		require.NoError(t, err)

		_, err = m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.UnknownTopic)
		_, err = m.Record(id).Read(t.Context())
		require.ErrorIs(t, err, talos.UnknownTopic)
		next := old
		next.Tail++
		require.ErrorIs(t, m.Record(id).Swap(t.Context(), old, next), talos.NotOwner)

		// The name may be used again; the new topic has nothing of the old one.
		require.NotContains(t, list(t, kv, "/"), "/talos/v1/view/assignments/"+id.Topic.String())
		again := ownTopic(t, m, "logs", "a")
		require.NotEqual(t, id, again)
		record, err := m.Record(again).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(1), record.Epoch)
	})
}

func TestValues_MalformedOnesNameTheirKey(t *testing.T) {
	id := talos.NewTopicID()
	partition := talos.PartitionID{Topic: id}
	topicJSON := func(name, id string) string {
		return `{"name":"` + name + `","id":"` + id + `","partitions":1,"config":{}}`
	}
	readTopic := func(t *testing.T, m *coordinator.Meta) error {
		_, err := m.Topic(t.Context(), "logs")
		return err
	}
	readRecord := func(t *testing.T, m *coordinator.Meta) error {
		_, err := m.Record(partition).Read(t.Context())
		return err
	}
	release := func(t *testing.T, m *coordinator.Meta) error {
		require.NoError(t, m.Register(t.Context()))
		return m.Release(t.Context(), id, []int32{0})
	}
	pin := func(t *testing.T, m *coordinator.Meta) error {
		return m.Pin(t.Context(), id, func(coordinator.Pins) {})
	}
	readBlock := func(t *testing.T, m *coordinator.Meta) error {
		_, _, err := m.ProducerIDs(t.Context())
		return err
	}
	topicKey, recordKey := "/talos/v1/view/topics/logs", "/talos/v1/records/"+partition.String()
	assignmentKey, pinsKey := "/talos/v1/view/assignments/"+id.String(), "/talos/v1/view/pins/"+id.String()
	for name, c := range map[string]struct {
		key, value string
		read       func(*testing.T, *coordinator.Meta) error
	}{
		"topic, not JSON":           {topicKey, `logs`, readTopic},
		"topic, empty":              {topicKey, ``, readTopic},
		"topic, something after it": {topicKey, topicJSON("logs", id.String()) + "{}", readTopic},
		"topic, another name":       {topicKey, topicJSON("audit", id.String()), readTopic},
		"topic, bad id":             {topicKey, topicJSON("logs", "12"), readTopic},
		"topic, no partitions":      {topicKey, `{"name":"logs","id":"` + id.String() + `"}`, readTopic},
		"record, empty object":      {recordKey, `{}`, readRecord},
		"record, epoch too large":   {recordKey, `{"epoch":4294967296,"tail":1,"start":{"number":1,"offset":0}}`, readRecord},
		"record, negative tail":     {recordKey, `{"epoch":1,"tail":-1,"start":{"number":1,"offset":0}}`, readRecord},
		"record, negative offset":   {recordKey, `{"epoch":1,"tail":1,"start":{"number":1,"offset":-1}}`, readRecord},
		"record, a text":            {recordKey, `{"epoch":"1","tail":1,"start":{"number":1,"offset":0}}`, readRecord},
		"assignment, unknown node":  {assignmentKey, `{"nodes":["a"],"owners":[1]}`, release},
		"assignment, no number":     {assignmentKey, `{"nodes":["a"],"owners":[0],"next":{"x":{"to":0}}}`, release},
		"assignment, moves nowhere": {assignmentKey, `{"nodes":["a"],"owners":[0],"next":{"0":{"to":-1}}}`, release},
		"pins, no node":             {pinsKey, `{"0":""}`, pin},
		"pins, no number":           {pinsKey, `{"x":"a"}`, pin},
		"producer block, negative":  {"/talos/v1/producer-block", `{"last":-1}`, readBlock},
		"producer block, too large": {"/talos/v1/producer-block", `{"last":4294967296}`, readBlock},
	} {
		kv := mem.New()
		m := openMeta(t, kv, "a")
		commit(t, kv, nil, coordinator.Put("/talos/v1/ids/"+id.String(), []byte(`{"name":"logs"}`)),
			coordinator.Put(c.key, []byte(c.value)))
		err := c.read(t, m)
		require.ErrorIs(t, err, talos.Internal, name)
		require.ErrorContains(t, err, c.key, name)
	}
}

func TestValues_OfTheClusterAreChecked(t *testing.T) {
	for name, value := range map[string]string{
		"no bits":       `{"id":"6f1c0000-0000-4000-8000-000000000000","producer_bits":0}`,
		"too many bits": `{"id":"6f1c0000-0000-4000-8000-000000000000","producer_bits":32768}`,
		"no uuid":       `{"id":"talos","producer_bits":1}`,
	} {
		kv := mem.New()
		commit(t, kv, nil, coordinator.Put("/talos/v1/cluster", []byte(value)))
		_, err := coordinator.Open(t.Context(), kv, nodeNamed("a"), quiet())
		require.ErrorIs(t, err, talos.Internal, name)
		require.ErrorContains(t, err, "/talos/v1/cluster", name)
	}
}

func TestValues_MayHaveFieldsOfALaterVersion(t *testing.T) {
	kv := mem.New()
	commit(t, kv, nil, coordinator.Put("/talos/v1/cluster",
		[]byte(`{"id":"6f1c0000-0000-4000-8000-000000000000","producer_bits":7,"region":"north"}`)))
	require.Equal(t, uint16(7), openMeta(t, kv, "a").Cluster().ProducerBits)
}

func TestAlterTopic(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		logs := newTopic("logs")
		require.NoError(t, m.CreateTopic(t.Context(), logs, nil))
		asked := 0
		more := func(now talos.Topic) (talos.Topic, error) {
			asked++
			now.Partitions = 9
			return now, nil
		}
		want := logs
		want.Partitions = 9
		for range 2 {
			altered, err := m.AlterTopic(t.Context(), "logs", more)
			require.NoError(t, err)
			require.Equal(t, want, altered)
			found, err := m.Topic(t.Context(), "logs")
			require.NoError(t, err)
			require.Equal(t, want, found)
		}
		require.Equal(t, 2, asked)

		_, err := m.AlterTopic(t.Context(), "logs", func(now talos.Topic) (talos.Topic, error) {
			return now, talos.InvalidConfig
		})
		require.ErrorIs(t, err, talos.InvalidConfig)
		_, err = m.AlterTopic(t.Context(), "other", more)
		require.ErrorIs(t, err, talos.UnknownTopic)
	})
}

// A change that somebody else makes between the look and the commit is seen.
func TestAlterTopic_IsAskedAgainOfWhatOthersMade(t *testing.T) {
	store := mem.New()
	m := openMeta(t, store, "a")
	require.NoError(t, m.CreateTopic(t.Context(), newTopic("logs"), nil))
	seen := []int64{}
	altered, err := m.AlterTopic(t.Context(), "logs", func(now talos.Topic) (talos.Topic, error) {
		seen = append(seen, now.Config.RetentionMillis)
		if len(seen) == 1 {
			_, err := m.AlterTopic(t.Context(), "logs", func(now talos.Topic) (talos.Topic, error) {
				now.Config.RetentionMillis = 5000
				return now, nil
			})
			require.NoError(t, err)
		}
		now.Partitions = 9
		return now, nil
	})
	require.NoError(t, err)
	require.Equal(t, []int64{0, 5000}, seen)
	require.Equal(t, int64(5000), altered.Config.RetentionMillis)
	require.Equal(t, int32(9), altered.Partitions)
}
