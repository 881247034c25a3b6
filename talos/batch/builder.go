package batch

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxVarint is the size of the largest varint of 32 bits, in bytes.
const maxVarint = 5

// recordOverhead is the most that an encoded record has beyond its key, value
// and headers: five varints of 32 bits, the time's of 64, and the attributes.
const recordOverhead = 5*maxVarint + 10 + 1

// noEpoch stands in a batch until a node places it.
const noEpoch = -1

// Builder gathers records and makes one batch of them. It is for one goroutine,
// and can be used again after Build.
type Builder struct {
	compressor *Compressor
	// buf has room for the header, and then the encoded records.
	buf      []byte
	headers  []kmsg.Header // to use again; empty between calls
	records  int32
	baseTime int64
	maxTime  int64
}

// NewBuilder returns an empty builder. Builders may share a compressor.
func NewBuilder(c *Compressor) *Builder { return &Builder{compressor: c} }

// BuildOptions says how a batch is compressed and whose it is.
type BuildOptions struct {
	// Codec is used where it makes the batch smaller.
	Codec Codec
	// ProducerID is NoProducer for a batch that is not idempotent; then the epoch
	// and the sequence should be -1 too.
	ProducerID    int64
	ProducerEpoch int16
	// FirstSequence is the sequence number of the first record.
	FirstSequence int32
}

// RecordBound is an upper bound of what Add adds to Size, in bytes.
func RecordBound(r *talos.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 2*maxVarint + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// Add encodes the record with at as its time, kept to the millisecond; the
// record's own Timestamp is not looked at. It keeps nothing of r.
func (b *Builder) Add(r *talos.Record, at time.Time) {
	millis := at.UnixMilli()
	if b.records == 0 {
		b.buf = append(b.buf[:0], make([]byte, HeaderSize)...)
		b.baseTime, b.maxTime = millis, millis
	}
	for i := range r.Headers {
		b.headers = append(b.headers, kmsg.Header{Key: r.Headers[i].Key, Value: r.Headers[i].Value})
	}
	k := kmsg.Record{
		TimestampDelta64: millis - b.baseTime, OffsetDelta: b.records,
		Key: r.Key, Value: r.Value, Headers: b.headers,
	}
	k.Length = int32(bodySize(&k))
	b.buf = k.AppendTo(b.buf)
	clear(b.headers)
	b.headers = b.headers[:0]
	b.maxTime = max(b.maxTime, millis)
	b.records++
}

// Len is the number of records.
func (b *Builder) Len() int { return int(b.records) }

// Size is the batch's size if it were not compressed, in bytes, header
// included; compression never makes it larger.
func (b *Builder) Size() int {
	if b.records == 0 {
		return HeaderSize
	}
	return len(b.buf)
}

// Build returns the batch, whose bytes are the caller's, and empties the
// builder. InvalidBatch if there is no record, or the codec is not known;
// BatchTooLarge above 2 GiB.
func (b *Builder) Build(o BuildOptions) ([]byte, error) {
	switch {
	case b.records == 0:
		return nil, invalid("Build", "there is no record in it")
	case len(b.buf) > math.MaxInt32:
		return nil, &talos.Error{
			Kind: talos.BatchTooLarge, Op: "batch.Build", Detail: fmt.Sprintf("%d bytes", len(b.buf)),
		}
	case !o.Codec.Known():
		return nil, invalid("Build", "unknown compression %d", o.Codec)
	}
	out, codec := b.buf, None
	if o.Codec != None {
		z, err := b.compressor.compress(make([]byte, HeaderSize, HeaderSize+len(b.buf)/4), o.Codec, b.buf[HeaderSize:])
		if err != nil {
			return nil, err
		}
		if len(z) < len(b.buf) {
			out, codec = z, o.Codec
		}
	}
	header := kmsg.RecordBatch{
		Length: int32(len(out) - lengthEnd), PartitionLeaderEpoch: noEpoch, Magic: magicV2,
		Attributes: int16(codec), LastOffsetDelta: b.records - 1,
		FirstTimestamp: b.baseTime, MaxTimestamp: b.maxTime,
		ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, FirstSequence: o.FirstSequence,
		NumRecords: b.records,
	}
	header.AppendTo(out[:0])
	seal(out)
	b.records = 0
	if codec == None {
		// The buffer is the caller's now; the next batch is likely as large.
		b.buf = make([]byte, 0, len(out))
	}
	return out[:len(out):len(out)], nil
}

// bodySize is what a record has behind its length.
func bodySize(k *kmsg.Record) int {
	n := 1 + varintSize(k.TimestampDelta64) + varintSize(int64(k.OffsetDelta)) +
		bytesSize(k.Key) + bytesSize(k.Value) + varintSize(int64(len(k.Headers)))
	for i := range k.Headers {
		key := len(k.Headers[i].Key)
		n += varintSize(int64(key)) + key + bytesSize(k.Headers[i].Value)
	}
	return n
}

// bytesSize is the size of bytes behind their length; nil is the length -1.
func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

// varintSize is the size of a number in zigzag encoding, 7 bits in a byte.
func varintSize(v int64) int {
	zigzag := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(zigzag|1) + 6) / 7
}
