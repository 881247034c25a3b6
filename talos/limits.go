package talos

import (
	"math"
	"time"
)

// Limits that are the same everywhere.
const (
	MaxTopicNameLength = 249
	// MaxPartitions is the most partitions of one topic.
	MaxPartitions = 10_000
	// MaxRequestPartitions is the most partitions of one Fetch or ListOffsets.
	MaxRequestPartitions = 500

	// DefaultRecordBytes is the record limit unless a node sets another.
	DefaultRecordBytes = 1 << 20
	// batchOverhead is what a batch may have beyond its largest record.
	batchOverhead = 64 << 10
	// messageOverhead is what an RPC message may have beyond its batches.
	messageOverhead = 64 << 10

	// MaxFetchBytes is the most that one fetch may ask for. A fetch answers one
	// whole batch even if that is larger than what was asked for.
	MaxFetchBytes = 16 << 20

	// DefaultSegmentBytes is the size at which a segment is rolled.
	DefaultSegmentBytes = 256 << 20
	// MinSegmentBytes is the smallest size a topic may ask for.
	MinSegmentBytes  = 64 << 10
	minSegmentMillis = 1000

	minRetentionMillis = 1000
	// maxMillis is what a time.Duration holds.
	maxMillis = math.MaxInt64 / int64(time.Millisecond)
	// DefaultSegmentAge is the age at which a segment with data is rolled.
	DefaultSegmentAge = 24 * time.Hour

	// MaxInflatedBytes is the most that a reader takes out of one compressed
	// batch, in bytes, so that a few bytes can't fill its memory.
	MaxInflatedBytes = 64 << 20

	// DuplicateWindow is how many of a producer's last batches a partition
	// knows, and so how many a producer may have in flight. It is Kafka's.
	DuplicateWindow = 5
	// ProducerGrace is how long after a producer's last batch no partition forgets
	// it. A producer must not send its first batch again after that.
	ProducerGrace = 15 * time.Minute
)

// Limits is what one node admits; everything derives from the record limit, so
// that no record which one layer takes is refused by the next.
type Limits struct {
	// RecordBytes is the largest record, measured by Record.Size.
	RecordBytes int
}

// DefaultLimits are used unless a node is told otherwise.
func DefaultLimits() Limits { return Limits{RecordBytes: DefaultRecordBytes} }

// BatchBytes is the largest record batch, as it is sent (compressed).
func (l Limits) BatchBytes() int { return l.RecordBytes + batchOverhead }

// RequestBytes is the largest RPC message that a node takes: one batch.
func (l Limits) RequestBytes() int { return l.BatchBytes() + messageOverhead }

// ResponseBytes is the largest RPC message that a client must be ready for.
func (l Limits) ResponseBytes() int { return MaxFetchBytes + l.BatchBytes() + messageOverhead }
