package server

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

func TestALongPollWakesWhenRecordsCome(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 2)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "x"))
	p.produce(topic, 1, newBatch(t, "a"))

	fetched := make(chan *talosv1.FetchResponse, 1)
	go func() {
		response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
			Partitions: []*talosv1.FetchPartition{
				{TopicId: topic.GetId(), Partition: 0, Offset: 1},
				{TopicId: topic.GetId(), Partition: 1, Offset: 1},
			},
			MaxWaitMs: math.MaxInt32,
		})
		if err != nil {
			t.Error(err)
		}
		fetched <- response
	}()
	n.awaitPolls(t, 1)
	p.produce(topic, 1, newBatch(t, "b"))

	response := <-fetched
	require.Len(t, response.GetPartitions(), 2)
	require.Empty(t, response.GetPartitions()[0].GetBatches())
	require.Nil(t, response.GetPartitions()[0].GetError())
	require.Equal(t, []string{"1 b"}, values(t, response.GetPartitions()[1].GetBatches()))
}

func (n *testNode) awaitPolls(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(n.longPolls) == count }, patience, time.Millisecond)
}

func TestAFetchWaitsForMinBytes(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	size := len(n.fetch(t, topic.GetId(), 0, 0, 0).GetBatches())

	fetched := make(chan *talosv1.FetchResponse, 1)
	go func() {
		response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
			Partitions: []*talosv1.FetchPartition{{TopicId: topic.GetId()}},
			MinBytes:   int32(3 * size), MaxWaitMs: math.MaxInt32,
		})
		if err != nil {
			t.Error(err)
		}
		fetched <- response
	}()
	n.awaitPolls(t, 1)
	p.produce(topic, 0, newBatch(t, "b"))
	n.awaitPolls(t, 1)
	require.Empty(t, fetched)
	p.produce(topic, 0, newBatch(t, "c"))

	response := <-fetched
	require.Equal(t, []string{"0 a", "1 b", "2 c"}, values(t, response.GetPartitions()[0].GetBatches()))
}

func TestAFetchAnswersWhenTimeIsUp(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))

	for _, wait := range []time.Duration{0, 10 * time.Millisecond} {
		fetched := n.fetch(t, topic.GetId(), 0, 1, wait)
		require.Nil(t, fetched.GetError())
		require.Empty(t, fetched.GetBatches())
		require.Equal(t, int64(1), fetched.GetRange().GetEnd())
	}
}

func TestAFetchKeepsItsLimitsButReturnsOneBatch(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 2)
	p := n.producer(t)
	for range 3 {
		p.produce(topic, 0, newBatch(t, "a"))
		p.produce(topic, 1, newBatch(t, "b"))
	}
	size := len(n.fetch(t, topic.GetId(), 0, 2, 0).GetBatches())

	for _, test := range []struct {
		name            string
		max, partMax    int32
		batches0, batch int
	}{
		{name: "one byte", max: 1, batches0: 1},
		{name: "two batches", max: int32(2 * size), batches0: 2},
		{name: "spills over", max: int32(4 * size), batches0: 3, batch: 1},
		{name: "limit of the partition", partMax: 1, batches0: 1, batch: 1},
		{name: "default", batches0: 3, batch: 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
				Partitions: []*talosv1.FetchPartition{
					{TopicId: topic.GetId(), Partition: 0, MaxBytes: test.partMax},
					{TopicId: topic.GetId(), Partition: 1, MaxBytes: test.partMax},
				},
				MaxBytes: test.max,
			})
			require.NoError(t, err)
			require.Len(t, response.GetPartitions()[0].GetBatches(), test.batches0*size)
			require.Len(t, response.GetPartitions()[1].GetBatches(), test.batch*size)
		})
	}
}

func TestAFaultOfOnePartitionStaysWithIt(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	unknown := talos.NewTopicID()

	response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
		Partitions: []*talosv1.FetchPartition{
			{TopicId: topic.GetId()},
			{TopicId: unknown[:]},
			{TopicId: topic.GetId(), Partition: 1},
			{TopicId: topic.GetId(), Offset: 2},
			{TopicId: topic.GetId(), Offset: -1},
			{TopicId: topic.GetId(), Epoch: 9},
			{TopicId: []byte("x")},
			{TopicId: topic.GetId(), MaxBytes: -1},
		},
		MaxWaitMs: math.MaxInt32,
	})
	require.NoError(t, err)
	var kinds []string
	for _, p := range response.GetPartitions() {
		kinds = append(kinds, p.GetError().GetKind())
	}
	// What the node has not heard of it looks up before it denies it.
	require.Equal(t, []string{
		"", "NotServing", "NotServing", "OffsetOutOfRange", "OffsetOutOfRange", "NotOwner", "InvalidRequest", "InvalidRequest",
	}, kinds)
	require.Equal(t, "UnknownTopic", n.fetch(t, unknown[:], 0, 0, patience).GetError().GetKind())
	require.Equal(t, "UnknownPartition", n.fetch(t, topic.GetId(), 1, 0, patience).GetError().GetKind())
	require.Equal(t, []string{"0 a"}, values(t, response.GetPartitions()[0].GetBatches()))
	outside := response.GetPartitions()[3].GetError()
	require.Equal(t, int64(0), outside.GetRange().GetStart())
	require.Equal(t, int64(1), outside.GetRange().GetEnd())
	require.Equal(t, int32(9), response.GetPartitions()[5].GetError().GetOwnerEpoch())
}

func TestFetchRefusesWhatIsNoRequest(t *testing.T) {
	n := newCluster().start(t, "n1")
	for name, request := range map[string]*talosv1.FetchRequest{
		"negative max":        {MaxBytes: -1},
		"negative min":        {MinBytes: -1},
		"negative wait":       {MaxWaitMs: -1},
		"too many partitions": {Partitions: make([]*talosv1.FetchPartition, talos.MaxRequestPartitions+1)},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range request.GetPartitions() {
				request.Partitions[i] = &talosv1.FetchPartition{}
			}
			_, err := n.log.Fetch(t.Context(), request)
			require.Equal(t, string(talos.InvalidRequest), detail(t, err).GetKind())
		})
	}
	response, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{MaxWaitMs: math.MaxInt32})
	require.NoError(t, err)
	require.Empty(t, response.GetPartitions())
}

func TestLongPollsAreBounded(t *testing.T) {
	n := newCluster().prepare(t, "n1")
	n.longPolls = make(chan struct{}, 1)
	n.run(t).awaitServing(t)
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	first := make(chan struct{})
	go func() {
		defer close(first)
		n.fetch(t, topic.GetId(), 0, 1, time.Hour)
	}()
	n.awaitPolls(t, 1)

	_, err := n.log.Fetch(t.Context(), &talosv1.FetchRequest{
		Partitions: []*talosv1.FetchPartition{{TopicId: topic.GetId(), Offset: 1}}, MaxWaitMs: 1000,
	})
	require.Equal(t, string(talos.Overloaded), detail(t, err).GetKind())
	p.produce(topic, 0, newBatch(t, "b"))
	<-first
}

func TestListOffsets(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 2)
	n.producer(t).produce(topic, 0, newBatch(t, "a", "b"))

	response, err := n.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{Partitions: []*talosv1.ListOffsetsPartition{
		{TopicId: topic.GetId()},
		{TopicId: topic.GetId(), Partition: 1},
		{TopicId: topic.GetId(), Partition: 2},
		{TopicId: topic.GetId(), Epoch: 2},
		{},
	}})
	require.NoError(t, err)
	listed := response.GetPartitions()
	require.Len(t, listed, 5)
	require.Equal(t, int64(2), listed[0].GetRange().GetEnd())
	require.Equal(t, int32(1), listed[0].GetSegments())
	require.Positive(t, listed[0].GetBytes())
	require.Equal(t, "n1", listed[0].GetOwner())
	require.Equal(t, "n1.example:7070", listed[0].GetOwnerAddress())
	require.Nil(t, listed[1].GetError())
	require.Equal(t, int64(0), listed[1].GetRange().GetEnd())
	require.Equal(t, "UnknownPartition", listed[2].GetError().GetKind())
	require.Equal(t, "NotOwner", listed[3].GetError().GetKind())
	require.Equal(t, "InvalidRequest", listed[4].GetError().GetKind())
}

func TestProducerIDsDiffer(t *testing.T) {
	n := newCluster().start(t, "n1")
	first, err := n.log.InitProducer(t.Context(), &talosv1.InitProducerRequest{})
	require.NoError(t, err)
	second, err := n.log.InitProducer(t.Context(), &talosv1.InitProducerRequest{})
	require.NoError(t, err)
	require.Positive(t, first.GetProducerId())
	require.NotEqual(t, first.GetProducerId(), second.GetProducerId())
}
