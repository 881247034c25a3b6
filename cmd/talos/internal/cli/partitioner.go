package cli

import (
	"math/rand/v2"

	"github.com/talos-log/talos/sdk"
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
	return sdk.KeyPartition(key, p.count)
}
