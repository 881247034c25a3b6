package codec

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
)

// pieces are a message as frames bring it.
func pieces(b []byte, size int) mem.BufferSlice {
	var all mem.BufferSlice
	for len(b) > 0 {
		n := min(size, len(b))
		all = append(all, mem.SliceBuffer(bytes.Clone(b[:n])))
		b = b[n:]
	}
	return all
}

func drawRequest(t *rapid.T) *talosv1.ProduceRequest {
	return &talosv1.ProduceRequest{
		Id: rapid.Uint64().Draw(t, "id"), TopicId: rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "topic"),
		Partition: rapid.Int32().Draw(t, "partition"), Epoch: rapid.Int32().Draw(t, "epoch"),
		Batch: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "batch"),
	}
}

func drawResponse(t *rapid.T) *talosv1.FetchResponse {
	m := &talosv1.FetchResponse{}
	for range rapid.IntRange(0, 4).Draw(t, "partitions") {
		one := &talosv1.FetchedPartition{
			TopicId:   rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "topic"),
			Partition: rapid.Int32().Draw(t, "partition"), Epoch: rapid.Int32().Draw(t, "epoch"),
			Batches: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "batches"),
		}
		if rapid.Bool().Draw(t, "range") {
			one.Range = &talosv1.OffsetRange{Start: 1, End: rapid.Int64().Draw(t, "end")}
		}
		if rapid.Bool().Draw(t, "error") {
			one.Error = &talosv1.Error{Message: rapid.String().Draw(t, "error text")}
		}
		m.Partitions = append(m.Partitions, one)
	}
	return m
}

// same fails unless both messages say the same: that a field of bytes is empty or
// missing is one thing on the wire.
func same(t require.TestingT, want, got proto.Message) {
	require.Empty(t, cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreEmptyMessages()))
}

// What is sent is what protobuf's own codec reads, byte for byte what it would have
// sent, and what it sends is read here, however it is cut into frames.
func TestItSpeaksProtobuf(t *testing.T) {
	c := New()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 100).Draw(t, "frame")
		for _, m := range []proto.Message{drawRequest(t), drawResponse(t), &talosv1.ProduceResponse{Id: 5}} {
			plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			require.NoError(t, err)
			sent, err := c.Marshal(m)
			require.NoError(t, err)
			require.Equal(t, len(plain), sent.Len())
			require.True(t, bytes.Equal(plain, sent.Materialize()))
			got := m.ProtoReflect().New().Interface()
			require.NoError(t, c.Unmarshal(pieces(plain, size), got))
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, again))
			same(t, m, got)
		}
	})
}

// The parts of an answer are what protobuf's own codec reads.
func TestPartsAreAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawResponse(t)
		parts, err := Parts(m)
		require.NoError(t, err)
		whole := bytes.Join(parts, nil)
		require.Len(t, whole, proto.Size(m))
		got := &talosv1.FetchResponse{}
		require.NoError(t, proto.Unmarshal(whole, got))
		same(t, m, got)
	})
}

// A field that is added to a message must be sent in parts, too.
func TestPartsKnowAllFields(t *testing.T) {
	require.Equal(t, 1, (&talosv1.FetchResponse{}).ProtoReflect().Descriptor().Fields().Len())
	require.Equal(t, 6, (&talosv1.FetchedPartition{}).ProtoReflect().Descriptor().Fields().Len())
	require.Equal(t, 5, (&talosv1.ProduceRequest{}).ProtoReflect().Descriptor().Fields().Len())
}

// Whatever protobuf makes of damaged bytes, this does, too.
func TestDamagedMessagesAreRefused(t *testing.T) {
	c := New()
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SampledFrom([]proto.Message{drawRequest(t), drawResponse(t)}).Draw(t, "message")
		b, err := proto.Marshal(message)
		require.NoError(t, err)
		if len(b) > 0 {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
			b = b[:rapid.IntRange(0, len(b)).Draw(t, "length")]
		}
		want, got := message.ProtoReflect().New().Interface(), message.ProtoReflect().New().Interface()
		wrong, gotWrong := proto.Unmarshal(b, want), c.Unmarshal(pieces(b, 64), got)
		require.Equal(t, wrong == nil, gotWrong == nil, "%v, %v", wrong, gotWrong)
		if wrong == nil {
			same(t, want, got)
		}
	})
}

// What a later version adds is no damage, and is handed on as protobuf does.
func TestFieldsOfLaterVersionsAreKept(t *testing.T) {
	for _, message := range []proto.Message{&talosv1.ProduceRequest{Batch: []byte{1}}, &talosv1.FetchResponse{
		Partitions: []*talosv1.FetchedPartition{{Batches: []byte{1}}},
	}} {
		b, err := proto.Marshal(message)
		require.NoError(t, err)
		for number := range protowire.Number(20) {
			added := protowire.AppendVarint(protowire.AppendTag(bytes.Clone(b), number+1, protowire.VarintType), 300)
			want, got := message.ProtoReflect().New().Interface(), message.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(added, want))
			require.NoError(t, New().Unmarshal(pieces(added, 64), got))
			same(t, want, got)
		}
	}
}

// A batch is not copied when it is sent, and once, into one buffer, when it is
// received.
func TestBatchesAreNotCopied(t *testing.T) {
	c := New()
	request := &talosv1.ProduceRequest{Id: 1, Batch: bytes.Repeat([]byte{7}, 10_000)}
	sent, err := c.Marshal(request)
	require.NoError(t, err)
	require.Same(t, unsafe.SliceData(request.GetBatch()), unsafe.SliceData(sent[1].ReadOnlyData()))
	answer := &talosv1.FetchResponse{Partitions: []*talosv1.FetchedPartition{{Batches: request.GetBatch()}}}
	parts, err := Parts(answer)
	require.NoError(t, err)
	require.Same(t, unsafe.SliceData(request.GetBatch()), unsafe.SliceData(parts[1]))

	whole := sent.Materialize()
	got := &talosv1.ProduceRequest{}
	require.NoError(t, unmarshalRequest(whole, got))
	require.Same(t, &whole[len(whole)-1], &got.GetBatch()[len(got.GetBatch())-1])
	require.Equal(t, len(got.GetBatch()), cap(got.GetBatch()), "what is appended to it goes elsewhere")
}

func TestPoolReturnsBuffersOfTheLengthThatWasAskedFor(t *testing.T) {
	p := &buffers{}
	for _, length := range []int{0, 1, 1023, 1024, 1025, 40_000, 1 << 20, 1<<20 + 1, 1 << 22, 1<<22 + 1} {
		b := p.Get(length)
		require.Len(t, *b, length)
		require.Less(t, cap(*b), max(1025, 2*length), "no more than twice the memory")
		p.Put(b)
		require.Len(t, *p.Get(length), length)
	}
	foreign := make([]byte, 5000)
	p.Put(&foreign)
	require.Equal(t, 8192, cap(*p.Get(5000)), "it was not one of its own")
}
