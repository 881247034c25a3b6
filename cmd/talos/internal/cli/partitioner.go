package cli

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// partitioner chooses the partition of each record that produce sends.
type partitioner struct {
	count  int32
	sticky int32
}

// newPartitioner chooses among count partitions; explicit is the user's choice,
// or negative.
func newPartitioner(count, explicit int32) partitioner {
	if explicit >= 0 {
		return partitioner{count: 1, sticky: explicit}
	}
	return partitioner{count: count, sticky: rand.Int32N(count)}
}

// choose returns the partition for a key. Without a key (nil) it is the same one
// for the whole run, so that the order of the input is kept.
func (p partitioner) choose(key []byte) int32 {
	if key == nil || p.count == 1 {
		return p.sticky
	}
	return keyPartition(key, p.count)
}

// keyPartition is Kafka's choice for a key, so that all clients agree.
func keyPartition(key []byte, count int32) int32 {
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
