package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestARecordGoesInAndComesOut(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 2)
	p := n.producer(t)

	first := p.produce(topic, 1, newBatch(t, "a", "b"))
	second := p.produce(topic, 1, newBatch(t, "c"))

	require.Equal(t, int64(0), first.GetBaseOffset())
	require.Equal(t, int64(2), second.GetBaseOffset())
	require.Positive(t, second.GetAppendTimeMs())
	require.Equal(t, int32(1), second.GetEpoch())

	fetched := n.fetch(t, topic.GetId(), 1, 0, 0)
	require.Nil(t, fetched.GetError())
	require.Equal(t, []string{"0 a", "1 b", "2 c"}, values(t, fetched.GetBatches()))
	require.Equal(t, int64(3), fetched.GetRange().GetEnd())
	require.Equal(t, int32(1), fetched.GetEpoch())
	require.Equal(t, []string{"2 c"}, values(t, n.fetch(t, topic.GetId(), 1, 2, 0).GetBatches()))
}

func TestPipelinedBatchesKeepTheirOrder(t *testing.T) {
	const batches = 500
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "first"))

	go func() {
		for i := range batches {
			p.send(topic.GetId(), 0, newBatch(t, fmt.Sprint(i)))
		}
	}()
	for i := range batches {
		response := p.receive()
		require.Nil(t, response.GetError())
		require.Equal(t, int64(i)+1, response.GetAppended().GetBaseOffset())
	}
}

func TestABadRequestHasItsAnswerAndTheStreamLivesOn(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	unknown := talos.NewTopicID()
	damaged := func(edit func(b []byte) []byte) []byte { return edit(newBatch(t, "x", "y")) }
	limit := talos.DefaultLimits().BatchBytes()
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "before"))

	for _, test := range []struct {
		name  string
		topic []byte
		part  int32
		epoch int32
		batch []byte
		want  talos.Kind
	}{
		{name: "empty", want: talos.InvalidRequest},
		{name: "short topic id", topic: []byte("id"), batch: newBatch(t, "x"), want: talos.InvalidRequest},
		{name: "long topic id", topic: make([]byte, 17), batch: newBatch(t, "x"), want: talos.InvalidRequest},
		{name: "unknown topic", topic: unknown[:], batch: newBatch(t, "x"), want: talos.UnknownTopic},
		{name: "unknown partition", topic: topic.GetId(), part: 1, batch: newBatch(t, "x"), want: talos.UnknownPartition},
		{name: "negative partition", topic: topic.GetId(), part: -1, batch: newBatch(t, "x"), want: talos.UnknownPartition},
		{name: "later epoch", topic: topic.GetId(), epoch: 7, batch: newBatch(t, "x"), want: talos.NotOwner},
		{name: "no batch", topic: topic.GetId(), want: talos.InvalidBatch},
		{name: "random bytes", topic: topic.GetId(), batch: []byte(strings.Repeat("random", 40)), want: talos.InvalidBatch},
		{
			name: "wrong checksum", topic: topic.GetId(), want: talos.CorruptBatch,
			batch: damaged(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
		},
		{
			name: "wrong count", topic: topic.GetId(), want: talos.CorruptBatch,
			batch: damaged(func(b []byte) []byte { b[60]++; return b }),
		},
		{
			name: "unknown magic", topic: topic.GetId(), want: talos.InvalidBatch,
			batch: damaged(func(b []byte) []byte { b[16] = 3; return b }),
		},
		{
			name: "huge declared size", topic: topic.GetId(), want: talos.InvalidBatch,
			batch: damaged(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 1<<31-1); return b }),
		},
		{
			name: "two batches", topic: topic.GetId(), want: talos.InvalidBatch,
			batch: damaged(func(b []byte) []byte { return append(b, b...) }),
		},
		{name: "too large", topic: topic.GetId(), batch: make([]byte, limit+1), want: talos.BatchTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.sent++
			require.NoError(t, p.stream.Send(&talosv1.ProduceRequest{
				Id: p.sent, TopicId: test.topic, Partition: test.part, Epoch: test.epoch, Batch: test.batch,
			}))
			response := p.receive()
			require.Equal(t, p.sent, response.GetId())
			require.Equal(t, string(test.want), response.GetError().GetKind(), response.GetError().GetMessage())
			require.Equal(t, test.want.Class().Hint, response.GetError().GetHint())
		})
	}
	require.Equal(t, int64(1), p.produce(topic, 0, newBatch(t, "after")).GetBaseOffset())
}

func TestAMessageAboveTheLimitEndsItsStreamOnly(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "x"))

	p.send(topic.GetId(), 0, make([]byte, talos.DefaultLimits().RequestBytes()))
	_, err := p.stream.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, int64(1), n.producer(t).produce(topic, 0, newBatch(t, "y")).GetBaseOffset())
}

func TestAClosedStreamIsAnsweredToItsEnd(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "x"))

	for range 10 {
		p.send(topic.GetId(), 0, newBatch(t, "y"))
	}
	require.NoError(t, p.stream.CloseSend())
	for range 10 {
		require.Nil(t, p.receive().GetError())
	}
	_, err := p.stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}

// While the store holds an append up, the node takes no more than its limit of
// batches from the stream, and answers all of them later.
func TestAStreamIsReadNoFurtherThanItsLimit(t *testing.T) {
	const extra = 10
	release := make(chan struct{})
	c := newCluster()
	held := make(chan struct{}, 1)
	c.store = faulty.New(c.store, func(call faulty.Call) faulty.Fault {
		if call.Op != faulty.Append || call.N == 1 {
			return faulty.Fault{}
		}
		select {
		case held <- struct{}{}:
		default:
		}
		return faulty.Fault{Before: faulty.Hang(release)}
	})
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "x"))
	before := p.sent

	go func() {
		for range maxStreamBatches + extra {
			p.send(topic.GetId(), 0, newBatch(t, "y"))
		}
	}()
	<-held
	full := func() bool { return n.value(t, "talos_server_waiting_batches") == maxStreamBatches }
	require.Eventually(t, full, patience, time.Millisecond)
	close(release)
	for i := range maxStreamBatches + extra {
		require.Equal(t, before+uint64(i)+1, p.receive().GetId())
	}
}

func TestAnswersKeepTheOrderOfTheirPartition(t *testing.T) {
	a, b := talos.PartitionID{Number: 1}, talos.PartitionID{Number: 2}
	s := newAnswers(10)
	ready := func() (ids []uint64) {
		for len(s.ready) > 0 {
			ids = append(ids, (<-s.ready).id)
		}
		return ids
	}
	a1, a2, b3, a4 := s.expect(1, a), s.expect(2, a), s.expect(3, b), s.expect(4, a)

	s.complete(a2, partition.Appended{}, errors.New("refused at once"))
	require.Empty(t, ready())
	s.complete(b3, partition.Appended{}, nil)
	require.Empty(t, cmp.Diff([]uint64{3}, ready()))
	s.complete(a1, partition.Appended{}, nil)
	require.Empty(t, cmp.Diff([]uint64{1, 2}, ready()))
	s.complete(a4, partition.Appended{}, nil)
	require.Empty(t, cmp.Diff([]uint64{4}, ready()))
	require.Empty(t, s.lanes)
}
