package datanode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// maxAck bounds an acknowledgement, in bytes, and is the size of the buffer it is
// read into. One of a pipeline of one has about 20.
const maxAck = 512

// ack is a PipelineAck of a pipeline of one.
type ack struct {
	seqno  int64
	status wire.Status
}

// acks reads acknowledgements: each is a varint with its length, and a protobuf
// PipelineAck.
type acks struct {
	r *bufio.Reader
}

// next reads the next one.
func (a acks) next() (ack, error) {
	size, err := binary.ReadUvarint(a.r)
	if err != nil {
		return ack{}, err
	}
	if size > maxAck {
		return ack{}, fmt.Errorf("an acknowledgement of %d bytes, at most %d are taken", size, maxAck)
	}
	b, err := a.r.Peek(int(size))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return ack{}, err
	}
	one, err := parseAck(b)
	if err != nil {
		return ack{}, err
	}
	_, err = a.r.Discard(len(b))
	return one, err
}

// ready tells whether next would not block.
func (a acks) ready() bool {
	b, err := a.r.Peek(a.r.Buffered())
	if err != nil {
		return false
	}
	size, n := binary.Uvarint(b)
	return n > 0 && size <= uint64(len(b)-n)
}

var errMalformedAck = errors.New("malformed acknowledgement")

// parseAck decodes without garbage what the protobuf library would with.
func parseAck(b []byte) (ack, error) {
	one := ack{seqno: -1 << 62}
	var seqnos, replies, flags int
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ack{}, errMalformedAck
		}
		b = b[n:]
		switch {
		case number == 1 && kind == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return ack{}, errMalformedAck
			}
			one.seqno, b = protowire.DecodeZigZag(v), b[n:]
			seqnos++
		case (number == 2 || number == 4) && (kind == protowire.VarintType || kind == protowire.BytesType):
			v, count, n := consumeVarints(b, kind)
			if n < 0 {
				return ack{}, errMalformedAck
			}
			b = b[n:]
			if number == 2 {
				replies += count
			} else {
				flags += count
			}
			// The status in the flag wins; its other bits tell of congestion.
			if count > 0 && number == 4 {
				one.status = wire.Status(v & 0xf)
			} else if count > 0 && flags == 0 {
				one.status = wire.Status(v)
			}
		default:
			n := protowire.ConsumeFieldValue(number, kind, b)
			if n < 0 {
				return ack{}, errMalformedAck
			}
			b = b[n:]
		}
	}
	if seqnos != 1 || replies != 1 || flags > 1 {
		return ack{}, fmt.Errorf("%w: %d sequence numbers, %d replies and %d flags instead of one of each", errMalformedAck, seqnos, replies, flags)
	}
	return one, nil
}

// consumeVarints reads a repeated field's next value, or all of them if they are
// packed: the last one, how many there were, and their bytes (negative: malformed).
func consumeVarints(b []byte, kind protowire.Type) (v uint64, count, n int) {
	if kind == protowire.VarintType {
		v, n = protowire.ConsumeVarint(b)
		return v, 1, n
	}
	packed, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return 0, 0, n
	}
	for len(packed) > 0 {
		value, m := protowire.ConsumeVarint(packed)
		if m < 0 {
			return 0, 0, m
		}
		v, packed = value, packed[m:]
		count++
	}
	return v, count, n
}
