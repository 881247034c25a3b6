package sdk

import (
	"fmt"

	"github.com/talos-log/talos/talos"
)

// Message is a record with its place. Its bytes are the application's.
type Message struct {
	Topic     talos.TopicName
	Partition int32
	Offset    talos.Offset
	talos.Record
}

// PartitionError is what Poll returns when one partition can't be read on; the
// others can.
type PartitionError struct {
	Partition int32
	// Err is a *talos.Error: OffsetOutOfRange with the range, UnknownTopic,
	// CorruptSegment, ...
	Err error
}

// Error implements error.
func (e *PartitionError) Error() string { return e.Err.Error() }

// Unwrap returns the *talos.Error.
func (e *PartitionError) Unwrap() error { return e.Err }

// BatchError is what Poll returns for a batch that can't be taken apart: damaged,
// wrongly built, or larger than 64 MiB once it is decompressed. Each further Poll
// tries it again; Seek(Partition, Next) leaves it out, and ConsumerSkipDamaged
// does so by itself.
type BatchError struct {
	Partition int32
	// The batch's records have the offsets Base <= offset < Next.
	Base, Next talos.Offset
	// Err is a *talos.Error of kind UndecodableBatch.
	Err error
}

// Error implements error.
func (e *BatchError) Error() string {
	return fmt.Sprintf("%v (seek to offset %d to leave it out)", e.Err, e.Next)
}

// Unwrap returns the *talos.Error.
func (e *BatchError) Unwrap() error { return e.Err }
