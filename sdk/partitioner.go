package sdk

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/talos-log/talos/talos"
)

// PartitionAny in place of a partition leaves the choice to the producer's
// Partitioner.
const PartitionAny int32 = -1

// stickyBytes is after how much Sticky goes on to another partition: enough for
// batches that are worth their overhead.
const stickyBytes = 64 << 10

// Partitioner chooses a partition of count, 0 <= partition < count, for a record
// that was sent with PartitionAny. A producer calls it once for each, one at a
// time, in no order between goroutines that Send at the same time. count grows
// when the topic gets more partitions. It serves one producer.
type Partitioner func(r *talos.Record, count int32) int32

// ByKeyHash returns the default Partitioner: records with a key go where KeyPartition
// says, the others where Sticky does. When the topic gets more partitions, keys
// change theirs.
func ByKeyHash() Partitioner {
	sticky := Sticky()
	return func(r *talos.Record, count int32) int32 {
		if r.Key == nil {
			return sticky(r, count)
		}
		return KeyPartition(r.Key, count)
	}
}

// Sticky returns a Partitioner that ignores keys, and stays on one partition for
// 64 KiB of records before it goes on to another one at random: records gather in
// few batches, and over time each partition gets as much.
func Sticky() Partitioner {
	current, taken := int32(-1), 0
	return func(r *talos.Record, count int32) int32 {
		if current < 0 || taken >= stickyBytes {
			current, taken = another(current, count), 0
		}
		taken += r.Size() + bufferedOverhead
		return current
	}
}

// another is a random partition other than the one before, if there is one.
func another(before, count int32) int32 {
	if before < 0 || count < 2 {
		return rand.Int32N(count)
	}
	next := rand.Int32N(count - 1)
	if next >= before {
		next++
	}
	return next
}

// RoundRobin returns a Partitioner that ignores keys, and takes one partition after
// the other.
func RoundRobin() Partitioner {
	next := int32(0)
	return func(_ *talos.Record, count int32) int32 {
		chosen := next % count
		next = chosen + 1
		return chosen
	}
}

// KeyPartition is the partition of a key, by Kafka's hash: all clients agree. A nil
// key counts as an empty one.
func KeyPartition(key []byte, count int32) int32 {
	return int32(murmur2(key)&math.MaxInt32) % count
}

// murmur2 is MurmurHash2 with the seed that Kafka's clients use
// (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(data []byte) uint32 {
	const (
		seed  = 0x9747b28c
		mix   = 0x5bd1e995
		shift = 24
	)
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * mix
		k ^= k >> shift
		h = h*mix ^ k*mix
	}
	for i := len(data) - 1; i >= 0; i-- {
		h ^= uint32(data[i]) << (8 * i)
		if i == 0 {
			h *= mix
		}
	}
	h ^= h >> 13
	h *= mix
	return h ^ h>>15
}
