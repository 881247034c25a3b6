package codec

import (
	"bytes"
	"errors"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
)

// The numbers of fields in proto/talos/v1/log.proto.
const (
	requestBatch       protowire.Number = 5 // ProduceRequest.batch
	responsePartitions protowire.Number = 1 // FetchResponse.partitions
	partitionBatches   protowire.Number = 3 // FetchedPartition.batches
)

// Codec implements encoding.CodecV2. The zero value is not usable: see New.
type Codec struct{ encoding.CodecV2 }

// New returns gRPC's codec for protobuf, with the shortcuts for record batches. A
// batch that is sent must never change afterwards: of a call that was given up gRPC
// may send it later.
func New() Codec { return Codec{encoding.GetCodecV2(protocodec.Name)} }

// Marshal implements encoding.CodecV2.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	request, ok := v.(*talosv1.ProduceRequest)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	// The batch goes behind the other fields, where its number puts it anyway.
	head, err := proto.Marshal(&talosv1.ProduceRequest{
		Id: request.GetId(), TopicId: request.GetTopicId(), Partition: request.GetPartition(), Epoch: request.GetEpoch(),
	})
	if err != nil {
		return nil, err
	}
	if len(request.GetBatch()) == 0 {
		return mem.BufferSlice{mem.SliceBuffer(head)}, nil
	}
	head = appendHead(head, requestBatch, len(request.GetBatch()))
	return mem.BufferSlice{mem.SliceBuffer(head), mem.SliceBuffer(request.GetBatch())}, nil
}

// Parts returns what an answer is on the wire, in parts to be sent one behind the
// other: its batches are parts of their own, not copies, and must not change until
// they were sent.
func Parts(m *talosv1.FetchResponse) ([][]byte, error) {
	var parts [][]byte
	var head []byte // of the part that comes next
	for _, one := range m.GetPartitions() {
		// Fields may come in any order: the batches come last.
		rest, err := proto.Marshal(&talosv1.FetchedPartition{
			TopicId: one.GetTopicId(), Partition: one.GetPartition(), Range: one.GetRange(),
			Epoch: one.GetEpoch(), Error: one.GetError(),
		})
		if err != nil {
			return nil, err
		}
		if len(one.GetBatches()) > 0 {
			rest = appendHead(rest, partitionBatches, len(one.GetBatches()))
		}
		head = appendHead(head, responsePartitions, len(rest)+len(one.GetBatches()))
		head = append(head, rest...)
		if len(one.GetBatches()) > 0 {
			parts = append(parts, head, one.GetBatches())
			head = nil
		}
	}
	if len(head) > 0 {
		parts = append(parts, head)
	}
	return parts, nil
}

// appendHead appends what comes before the value of a field of so many bytes.
func appendHead(b []byte, number protowire.Number, length int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(length))
}

// Unmarshal implements encoding.CodecV2.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *talosv1.ProduceRequest:
		return unmarshalRequest(join(data), m)
	case *talosv1.FetchResponse:
		return unmarshalResponse(join(data), m)
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
}

// join copies the parts of a message into one buffer, which unlike that of
// BufferSlice.Materialize is not cleared before.
func join(data mem.BufferSlice) []byte {
	parts := make([][]byte, len(data))
	for i, b := range data {
		parts[i] = b.ReadOnlyData()
	}
	return bytes.Join(parts, nil)
}

// unmarshalRequest makes the batch a part of b.
func unmarshalRequest(b []byte, m *talosv1.ProduceRequest) error {
	rest, batch, err := cut(b, requestBatch)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(rest, m); err != nil {
		return err
	}
	m.Batch = batch
	return nil
}

// unmarshalResponse makes the batches of each partition a part of b.
func unmarshalResponse(b []byte, m *talosv1.FetchResponse) error {
	proto.Reset(m)
	for len(b) > 0 {
		number, kind, length := protowire.ConsumeTag(b)
		if length < 0 {
			return errMalformed
		}
		if number != responsePartitions || kind != protowire.BytesType {
			// One of a later version, which is kept as protobuf keeps it.
			n := protowire.ConsumeFieldValue(number, kind, b[length:])
			if n < 0 {
				return errMalformed
			}
			m.ProtoReflect().SetUnknown(append(m.ProtoReflect().GetUnknown(), b[:length+n]...))
			b = b[length+n:]
			continue
		}
		value, n := protowire.ConsumeBytes(b[length:])
		if n < 0 {
			return errMalformed
		}
		b = b[length+n:]
		rest, batches, err := cut(value, partitionBatches)
		if err != nil {
			return err
		}
		one := &talosv1.FetchedPartition{}
		if err := proto.Unmarshal(rest, one); err != nil {
			return err
		}
		one.Batches = batches
		m.Partitions = append(m.Partitions, one)
	}
	return nil
}

var errMalformed = errors.New("codec: this is no protobuf message")

// cut takes a field of bytes out of a message, the last one of this number, as
// protobuf does. rest is a copy of all other fields; value is a part of b, and nil if
// there is none.
func cut(b []byte, number protowire.Number) (rest, value []byte, err error) {
	for len(b) > 0 {
		found, kind, length := protowire.ConsumeTag(b)
		if length < 0 {
			return nil, nil, errMalformed
		}
		n := protowire.ConsumeFieldValue(found, kind, b[length:])
		if n < 0 {
			return nil, nil, errMalformed
		}
		if found == number && kind == protowire.BytesType {
			found, _ := protowire.ConsumeBytes(b[length:])
			value = found[:len(found):len(found)]
		} else {
			rest = append(rest, b[:length+n]...)
		}
		b = b[length+n:]
	}
	return rest, value, nil
}
