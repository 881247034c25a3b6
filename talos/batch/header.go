package batch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"math"

	"github.com/talos-log/talos/talos"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// HeaderSize is the size of a batch without records, in bytes.
const HeaderSize = 61

const (
	magicV2 = 2
	// lengthEnd is where batchLength ends: it counts the bytes from here on.
	lengthEnd = 12
	epochAt   = 12
	crcAt     = 17
	// crcEnd is where the checksum ends: it covers the bytes from here on.
	crcEnd = 21

	producerIDAt    = 43
	producerEpochAt = 51
	firstSequenceAt = 53
)

const (
	attrCodec         = 0x07
	attrTransactional = 0x10
	attrControl       = 0x20
	attrKnown         = attrCodec | attrTransactional | attrControl
)

// NoProducer is the producer id of a batch that is not idempotent.
const NoProducer = -1

// castagnoli is the table of CRC-32C; hash/crc32 uses the processor's
// instruction for it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is what a batch says of itself without its records. Timestamps are in
// milliseconds since 1970.
type Header struct {
	Base          talos.Offset
	LeaderEpoch   talos.Epoch
	Attributes    int16
	LastDelta     int32
	BaseTimestamp int64
	MaxTimestamp  int64
	ProducerID    int64
	ProducerEpoch int16
	FirstSequence int32
	Records       int32
	// Size is the batch's length in bytes, header included.
	Size int
}

// Next is the offset behind the batch.
func (h Header) Next() talos.Offset { return h.Base + talos.Offset(h.LastDelta) + 1 }

// LastSequence is the sequence number of the last record.
func (h Header) LastSequence() int32 { return AddSequence(h.FirstSequence, h.LastDelta) }

// NextSequence is the first sequence number of the batch that may follow.
func (h Header) NextSequence() int32 { return AddSequence(h.LastSequence(), 1) }

// AddSequence is the sequence number that lies n records behind s: sequence
// numbers go on at 0 behind 2^31-1.
func AddSequence(s, n int32) int32 { return int32((int64(s) + int64(n)) & math.MaxInt32) }

// Idempotent tells whether a producer id guards the batch.
func (h Header) Idempotent() bool { return h.ProducerID >= 0 }

// Codec is how the records are compressed.
func (h Header) Codec() Codec { return Codec(h.Attributes & attrCodec) }

// Parse reads the header at the start of b, which may go on behind the batch. It
// checks that a whole batch is there, not its content.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, invalid("Check", "%d bytes are too few for a batch", len(b))
	}
	length := int32(binary.BigEndian.Uint32(b[8:]))
	size := int64(length) + lengthEnd
	if size < HeaderSize || size > int64(len(b)) {
		return Header{}, invalid("Check", "it declares %d bytes, there are %d", size, len(b))
	}
	if b[16] != magicV2 {
		return Header{}, invalid("Check", "its magic is %d, only 2 is known", b[16])
	}
	var k kmsg.RecordBatch
	if err := k.ReadFrom(b[:size]); err != nil {
		return Header{}, invalid("Check", "%v", err)
	}
	return Header{
		Base: talos.Offset(k.FirstOffset), LeaderEpoch: talos.Epoch(k.PartitionLeaderEpoch),
		Attributes: k.Attributes, LastDelta: k.LastOffsetDelta,
		BaseTimestamp: k.FirstTimestamp, MaxTimestamp: k.MaxTimestamp,
		ProducerID: k.ProducerID, ProducerEpoch: k.ProducerEpoch, FirstSequence: k.FirstSequence,
		Records: k.NumRecords, Size: int(size),
	}, nil
}

// Check verifies that b is exactly one batch as a producer may send it: size,
// magic, checksum, count, attributes, sequence. Records stay compressed; what
// is in them is the consumer's to check.
func Check(b []byte, limit int) (Header, error) {
	if len(b) > limit {
		return Header{}, &talos.Error{
			Kind: talos.BatchTooLarge, Op: "batch.Check",
			Detail: fmt.Sprintf("%d bytes, the limit is %d", len(b), limit),
		}
	}
	h, err := Parse(b)
	if err != nil {
		return Header{}, err
	}
	if h.Size != len(b) {
		return Header{}, invalid("Check", "%d bytes follow it", len(b)-h.Size)
	}
	if !ChecksumOK(b) {
		return Header{}, &talos.Error{Kind: talos.CorruptBatch, Op: "batch.Check"}
	}
	return h, checkProduced(h)
}

func checkProduced(h Header) error {
	switch {
	case h.Records <= 0 || int64(h.Records) != int64(h.LastDelta)+1:
		return invalid("Check", "%d records, last offset delta %d", h.Records, h.LastDelta)
	case h.Attributes&^attrKnown != 0:
		return invalid("Check", "attributes %#x", h.Attributes)
	case h.Attributes&(attrTransactional|attrControl) != 0:
		return invalid("Check", "transactional and control batches are not taken")
	case !h.Codec().Known():
		return invalid("Check", "unknown compression %d", h.Codec())
	case h.ProducerID < NoProducer:
		return invalid("Check", "producer id %d", h.ProducerID)
	case h.Idempotent() && (h.FirstSequence < 0 || h.ProducerEpoch < 0):
		return invalid("Check", "producer epoch %d, sequence %d", h.ProducerEpoch, h.FirstSequence)
	default:
		return nil
	}
}

// ChecksumOK tells whether the checksum of the batch b, as Parse delimits it,
// matches.
func ChecksumOK(b []byte) bool {
	want := binary.BigEndian.Uint32(b[crcAt:])
	return crc32.Checksum(b[crcEnd:], castagnoli) == want
}

// Place writes what the node decides into the batch at the start of b: base
// offset and epoch, both outside the checksum.
func Place(b []byte, base talos.Offset, epoch talos.Epoch) {
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[epochAt:], uint32(epoch))
}

// Stamp gives the batch b, as Parse delimits it, another producer and sequence,
// and makes its checksum anew. Only a producer may do that, and only with a batch
// that is known not to be stored.
func Stamp(b []byte, producerID int64, producerEpoch int16, firstSequence int32) {
	binary.BigEndian.PutUint64(b[producerIDAt:], uint64(producerID))
	binary.BigEndian.PutUint16(b[producerEpochAt:], uint16(producerEpoch))
	binary.BigEndian.PutUint32(b[firstSequenceAt:], uint32(firstSequence))
	seal(b)
}

// seal writes the checksum.
func seal(b []byte) {
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[crcEnd:], castagnoli))
}

// All walks over batches that lie one behind the other. It ends with an error
// if they don't fill b.
func All(b []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for len(b) > 0 {
			h, err := Parse(b)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			if !yield(Batch{Header: h, Bytes: b[:h.Size:h.Size]}, nil) {
				return
			}
			b = b[h.Size:]
		}
	}
}

// Batch is a header with the bytes it was read from.
type Batch struct {
	Header
	Bytes []byte
}

func invalid(op, format string, args ...any) error {
	return &talos.Error{Kind: talos.InvalidBatch, Op: "batch." + op, Detail: fmt.Sprintf(format, args...)}
}
