package segment

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
)

// Source is what a segment is read from; storage.Reader satisfies it. ReadAt
// reads like io.ReaderAt.
type Source interface {
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
}

// viewer is a Source that holds parts of the segment in memory.
type viewer interface {
	// View returns n bytes from off on or more, which never change; nil if they are not
	// all in one part, or not there: ReadAt says more.
	View(ctx context.Context, off, n int64) ([]byte, error)
}

// Header is what a segment says of itself in its first frame.
type Header struct {
	Cluster   string
	Topic     talos.TopicID
	TopicName talos.TopicName
	Partition int32
	Name      talos.SegmentName
	// Previous is the segment before it in the chain; its Number is 0 if there is
	// none.
	Previous talos.SegmentName
	// Created has milliseconds, in UTC.
	Created time.Time
	// Window is the most bytes that the writer has in flight at any time: whole
	// frames of every type, so at least as much as its largest frame.
	Window int64
}

// Meta is what every frame states beside its payload.
type Meta struct {
	// Base is the first offset in the frame and Next the one behind it; both are
	// the same in a frame without records.
	Base, Next talos.Offset
	// Acked: all records below it were acknowledged when the frame was written.
	Acked talos.Offset
	// Time is the append time in milliseconds. It never decreases in a partition.
	Time int64
}

// Producer is what a snapshot holds of one idempotent producer: its last
// batches, at most talos.DuplicateWindow, oldest first.
type Producer struct {
	ID      int64
	Batches []ProducerBatch
}

// ProducerBatch is one batch of a producer.
type ProducerBatch struct {
	Epoch int16
	// First and Last are the sequence numbers of its first and last record.
	First, Last int32
	Base        talos.Offset
	// Time is its append time in milliseconds.
	Time int64
}
