package partition

import (
	"context"

	"github.com/talos-log/talos/talos"
)

// Records keeps one partition's record outside the store, for one node. All
// calls may block; an error other than the kinds named here means that the
// outcome is unknown.
type Records interface {
	// Raise adds one to the epoch and returns the record as it then is, in one
	// transaction that requires that this node is assigned the partition:
	// NotOwner if it is not, UnknownTopic if the topic is gone.
	Raise(ctx context.Context) (talos.PartitionRecord, error)
	// Read returns the record, linearizably.
	Read(ctx context.Context) (talos.PartitionRecord, error)
	// Swap replaces old by next if the record still equals old; NotOwner if it
	// does not.
	Swap(ctx context.Context, old, next talos.PartitionRecord) error
}
