package talos

import "fmt"

// PartitionRecord is all that is decided about a partition outside its store.
// It changes only by compare-and-swap, is small, and is written only when the
// partition is opened, rolls a segment, or is trimmed.
type PartitionRecord struct {
	// Epoch is the newest ownership; 0 means that nobody ever opened the partition.
	Epoch Epoch `json:"epoch"`
	// Tail is the number of the newest segment of the chain; 0 means none.
	Tail SegmentNumber `json:"tail"`
	// Start is the log start: the oldest segment that counts, and the first offset
	// in it that can be read. Number is 1 before there is any segment.
	Start LogStart `json:"start"`
}

// LogStart is where a partition begins.
type LogStart struct {
	Number SegmentNumber `json:"number"`
	Offset Offset        `json:"offset"`
}

// NewPartitionRecord is the record of a partition that nobody opened yet.
func NewPartitionRecord() PartitionRecord {
	return PartitionRecord{Start: LogStart{Number: 1}}
}

// String is for logs.
func (r PartitionRecord) String() string {
	return fmt.Sprintf("epoch %d, tail %d, start %d at offset %d", r.Epoch, r.Tail, r.Start.Number, r.Start.Offset)
}
