package hostile_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
)

// The fields of a batch's header, by their position.
const (
	atLength        = 8
	atMagic         = 16
	atChecksum      = 17
	atAttributes    = 21
	atLastDelta     = 23
	atProducerID    = 43
	atProducerEpoch = 51
	atSequence      = 53
	atCount         = 57
)

func contextWithTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), answerTimeout)
}

// valid returns a batch of three records that a node takes.
func valid(t *testing.T) []byte {
	t.Helper()
	builder := batch.NewBuilder(&batch.Compressor{})
	for _, value := range []string{"one", "two", "three"} {
		builder.Add(&talos.Record{Value: []byte(value)}, time.UnixMilli(1_700_000_000_000))
	}
	b, err := builder.Build(batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1})
	require.NoError(t, err)
	return b
}

// lie changes a batch; sealed puts the checksum right afterwards, so that only
// the lie can be what is wrong with it.
type lie func(b []byte) []byte

func sealed(l lie) lie {
	return func(b []byte) []byte {
		b = l(b)
		binary.BigEndian.PutUint32(b[atChecksum:], crc32.Checksum(b[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
		return b
	}
}

func put32(at int, v int32) lie {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[at:], uint32(v))
		return b
	}
}

func put16(at int, v int16) lie {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint16(b[at:], uint16(v))
		return b
	}
}

func put64(at int, v int64) lie {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint64(b[at:], uint64(v))
		return b
	}
}

func both(first, second lie) lie { return func(b []byte) []byte { return second(first(b)) } }

func cut(to int) lie { return func(b []byte) []byte { return b[:to] } }

// filled is a batch of n bytes that is well formed but for its content.
func filled(n int) lie {
	return sealed(func(b []byte) []byte {
		b = append(b, make([]byte, n-len(b))...)
		return put32(atLength, int32(n-12))(b)
	})
}

func TestBatchesThatLieAreRefusedByKind(t *testing.T) {
	limits := talos.DefaultLimits()
	tests := map[string]struct {
		lie  lie
		want talos.Kind
	}{
		"nothing":                     {cut(0), talos.InvalidBatch},
		"less than a header":          {cut(60), talos.InvalidBatch},
		"a header alone":              {cut(61), talos.InvalidBatch},
		"a byte is missing":           {func(b []byte) []byte { return b[:len(b)-1] }, talos.InvalidBatch},
		"a byte too many":             {func(b []byte) []byte { return append(b, 0) }, talos.InvalidBatch},
		"two batches":                 {func(b []byte) []byte { return append(b, b...) }, talos.InvalidBatch},
		"length of 2 GiB":             {put32(atLength, math.MaxInt32), talos.InvalidBatch},
		"negative length":             {put32(atLength, math.MinInt32), talos.InvalidBatch},
		"length 0":                    {put32(atLength, 0), talos.InvalidBatch},
		"wrong checksum":              {put32(atChecksum, 0x0badcafe), talos.CorruptBatch},
		"a flipped bit in a record":   {func(b []byte) []byte { b[len(b)-1] ^= 4; return b }, talos.CorruptBatch},
		"a flipped bit in the header": {func(b []byte) []byte { b[atCount+3] ^= 4; return b }, talos.CorruptBatch},
		"magic 0":                     {func(b []byte) []byte { b[atMagic] = 0; return b }, talos.InvalidBatch},
		"magic 1":                     {func(b []byte) []byte { b[atMagic] = 1; return b }, talos.InvalidBatch},
		"magic 3":                     {func(b []byte) []byte { b[atMagic] = 3; return b }, talos.InvalidBatch},
		"magic 255":                   {func(b []byte) []byte { b[atMagic] = 255; return b }, talos.InvalidBatch},
		"count too high":              {sealed(put32(atCount, 4)), talos.InvalidBatch},
		"count too low":               {sealed(put32(atCount, 2)), talos.InvalidBatch},
		"no records":                  {sealed(both(put32(atCount, 0), put32(atLastDelta, -1))), talos.InvalidBatch},
		"a negative count":            {sealed(both(put32(atCount, -1), put32(atLastDelta, -2))), talos.InvalidBatch},
		"count and delta wrap around": {sealed(both(put32(atCount, math.MinInt32), put32(atLastDelta, math.MaxInt32))), talos.InvalidBatch},
		"unknown compression":         {sealed(put16(atAttributes, 7)), talos.InvalidBatch},
		"transactional":               {sealed(put16(atAttributes, 0x10)), talos.InvalidBatch},
		"control batch":               {sealed(put16(atAttributes, 0x20)), talos.InvalidBatch},
		"unknown attributes":          {sealed(put16(atAttributes, math.MinInt16)), talos.InvalidBatch},
		"producer id -2":              {sealed(put64(atProducerID, -2)), talos.InvalidBatch},
		"a producer without sequence": {sealed(put64(atProducerID, 7)), talos.InvalidBatch},
		"a negative producer epoch":   {sealed(both(put64(atProducerID, 7), put32(atSequence, 0))), talos.InvalidBatch},
		"a producer that begins late": {
			sealed(both(put64(atProducerID, 7), both(put16(atProducerEpoch, 0), put32(atSequence, 5)))), talos.UnknownProducer,
		},
		"above the batch limit": {filled(limits.BatchBytes() + 1), talos.BatchTooLarge},
	}
	s := newScene(t)
	stream := s.produce()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := stream.roundTrip(t, request(s.topic.ID[:], 0, test.lie(valid(t))))
			requireTyped(t, test.want, answer.GetError())
		})
	}
	// One stream has seen them all, and goes on.
	answer := stream.roundTrip(t, request(s.topic.ID[:], 0, valid(t)))
	require.NotNil(t, answer.GetAppended(), "%v", answer.GetError())
}

func TestRequestsThatLieAreRefusedByKind(t *testing.T) {
	s := newScene(t)
	id := s.topic.ID[:]
	other := talos.NewTopicID()
	tests := map[string]struct {
		request *talosv1.ProduceRequest
		want    talos.Kind
	}{
		"an empty message":         {&talosv1.ProduceRequest{}, talos.InvalidRequest},
		"unknown topic":            {request(other[:], 0, valid(t)), talos.UnknownTopic},
		"a topic id of 15 bytes":   {request(id[:15], 0, valid(t)), talos.InvalidRequest},
		"a topic id of 17 bytes":   {request(append(id[:16:16], 0), 0, valid(t)), talos.InvalidRequest},
		"a topic id of 1 MiB":      {request(make([]byte, 1<<20), 0, valid(t)), talos.InvalidRequest},
		"partition -1":             {request(id, -1, valid(t)), talos.UnknownPartition},
		"a partition too many":     {request(id, partitions, valid(t)), talos.UnknownPartition},
		"partition 2^31-1":         {request(id, math.MaxInt32, valid(t)), talos.UnknownPartition},
		"an epoch nobody has seen": {&talosv1.ProduceRequest{TopicId: id, Epoch: math.MaxInt32, Batch: valid(t)}, talos.NotOwner},
	}
	stream := s.produce()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			requireTyped(t, test.want, stream.roundTrip(t, test.request).GetError())
		})
	}
	answer := stream.roundTrip(t, request(id, 0, valid(t)))
	require.NotNil(t, answer.GetAppended(), "%v", answer.GetError())
}

// A message beyond the limit ends its stream: what follows can't be found.
func TestAMessageAboveTheLimitEndsItsStream(t *testing.T) {
	s := newScene(t)
	for name, options := range map[string][]grpc.CallOption{
		"as it is":             nil,
		"compressed to little": {grpc.UseCompressor(gzip.Name)},
	} {
		t.Run(name, func(t *testing.T) {
			stream := s.produce(options...)
			stream.send(t, request(s.topic.ID[:], 0, make([]byte, 64<<20)))
			_, err := stream.Recv()
			require.Error(t, err)
			require.Contains(t, []codes.Code{codes.InvalidArgument, codes.ResourceExhausted, codes.Unimplemented}, status.Code(err), "%v", err)
		})
	}
}

// The node does not look into compressed records; so a batch may claim to hold
// any number of them. It is the consumer who finds out, and can go on behind it.
func TestABatchThatClaimsTooManyRecordsIsFoundByTheConsumer(t *testing.T) {
	s := newScene(t)
	stream := s.produce()
	const claimed = math.MaxInt32
	big := sealed(both(put32(atCount, claimed), put32(atLastDelta, claimed-1)))
	answer := stream.roundTrip(t, request(s.topic.ID[:], 1, big(valid(t))))
	require.NotNil(t, answer.GetAppended(), "%v", answer.GetError())
	answer = stream.roundTrip(t, request(s.topic.ID[:], 1, valid(t)))
	require.Equal(t, int64(claimed), answer.GetAppended().GetBaseOffset())

	ctx, cancel := contextWithTimeout()
	defer cancel()
	client := s.dial()
	defer func() { require.NoError(t, client.Close()) }()
	consumer, err := client.NewConsumer(ctx, topic, sdk.ConsumerPartitions(1), sdk.ConsumerStart(sdk.Earliest))
	require.NoError(t, err)
	defer func() { require.NoError(t, consumer.Close()) }()
	_, err = consumer.Poll(ctx)
	require.ErrorIs(t, err, talos.UndecodableBatch)
	var bad *sdk.BatchError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, talos.Offset(0), bad.Base)
	require.Equal(t, talos.Offset(claimed), bad.Next)
	require.NoError(t, consumer.Seek(bad.Partition, bad.Next))
	messages, err := consumer.Poll(ctx)
	require.NoError(t, err)
	require.Len(t, messages, 3)
	require.Equal(t, "one", string(messages[0].Value))
}

// Random bytes where a batch should be, and batches with random damage, are
// never stored.
func TestRandomBatchesAreRefused(t *testing.T) {
	const rounds = 2000
	rng := random(t)
	s := newScene(t)
	stream := s.produce()
	for range rounds {
		b := valid(t)
		if rng.IntN(2) == 0 {
			b = randomBytes(rng, rng.IntN(4096))
		} else {
			// Outside of the first 8 bytes and the leader epoch, which the node sets.
			at := atLength + rng.IntN(len(b)-atLength)
			if at >= 12 && at < atMagic {
				at = atMagic
			}
			b[at] ^= 1 << rng.IntN(8)
		}
		answer := stream.roundTrip(t, request(s.topic.ID[:], rng.Int32N(partitions), b))
		kind := answer.GetError().GetKind()
		require.Contains(t, []string{string(talos.InvalidBatch), string(talos.CorruptBatch)}, kind, "%x", b)
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func request(topicID []byte, partition int32, b []byte) *talosv1.ProduceRequest {
	return &talosv1.ProduceRequest{TopicId: topicID, Partition: partition, Batch: b}
}

// produceStream is one stream of Produce.
type produceStream struct {
	grpc.BidiStreamingClient[talosv1.ProduceRequest, talosv1.ProduceResponse]
	last uint64
}

// produce opens a stream that ends with the test.
func (s *scene) produce(options ...grpc.CallOption) *produceStream {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	stream, err := s.log.Produce(ctx, options...)
	require.NoError(s.t, err)
	return &produceStream{BidiStreamingClient: stream}
}

func (p *produceStream) send(t *testing.T, r *talosv1.ProduceRequest) {
	t.Helper()
	p.last++
	r.Id = p.last
	require.NoError(t, p.Send(r))
}

func (p *produceStream) roundTrip(t *testing.T, r *talosv1.ProduceRequest) *talosv1.ProduceResponse {
	t.Helper()
	p.send(t, r)
	answer, err := p.Recv()
	require.NoError(t, err)
	require.Equal(t, p.last, answer.GetId())
	return answer
}
