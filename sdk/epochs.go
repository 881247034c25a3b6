package sdk

import (
	"sync"

	"github.com/talos-log/talos/talos"
)

// maxEpochs bounds the partitions whose epochs a client remembers. Beyond it, it
// begins anew: nothing is wrong with a request that has seen no epoch.
const maxEpochs = 100_000

// epochs are the highest that a client has seen, of each partition. Requests carry
// them, so that an owner of before does not answer as if it were one still.
type epochs struct {
	mu   sync.Mutex // guards seen
	seen map[talos.PartitionID]talos.Epoch
}

func newEpochs() *epochs { return &epochs{seen: make(map[talos.PartitionID]talos.Epoch)} }

// saw takes note of an epoch.
func (e *epochs) saw(topic talos.TopicID, partition int32, epoch talos.Epoch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := talos.PartitionID{Topic: topic, Number: partition}
	if epoch <= e.seen[id] {
		return
	}
	if len(e.seen) >= maxEpochs {
		clear(e.seen)
	}
	e.seen[id] = epoch
}

// of is the highest that was seen; 0 if none was.
func (e *epochs) of(topic talos.TopicID, partition int32) talos.Epoch {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[talos.PartitionID{Topic: topic, Number: partition}]
}
