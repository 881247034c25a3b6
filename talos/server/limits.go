package server

import "time"

// Limits of one node that are the same everywhere. What clients may send is in
// talos.Limits, what an operator may set in Capacity.
const (
	// A stream of Produce is read no further while it has this many batches
	// without an answer, or batches of this many bytes that a log still holds.
	maxStreamBatches = 1_024
	maxStreamBytes   = 16 << 20
	// fetchOverhead is kept free in a Fetch's answer for each partition's
	// description; maxMessageBytes is the most of it.
	fetchOverhead = 2 << 10
	// maxFetchWait is the longest wait of a Fetch; longer ones are cut.
	maxFetchWait = 60 * time.Second
	// listWait is how long ListOffsets waits for a partition to open.
	listWait = 10 * time.Second

	// maxOpening bounds the partitions that are being opened, and those that are
	// being closed, at a time.
	maxOpening = 16
	// openTimeout bounds one attempt to open a partition.
	openTimeout = 30 * time.Second
	// A partition whose opening failed is left alone for a while: the first delay,
	// doubled by each further failure up to the second.
	minOpenBackoff = 100 * time.Millisecond
	maxOpenBackoff = 5 * time.Second

	// adminTimeout bounds a change of the topics.
	adminTimeout = 30 * time.Second
	// Between attempts to claim, to load the topics or to remove a deleted topic's
	// data lies a delay that is doubled by each failure.
	minRetry = 100 * time.Millisecond
	maxRetry = 10 * time.Second

	// drainTimeout is the part of Config.Drain that is kept for calls to end after
	// the partitions were handed over.
	drainTimeout = 5 * time.Second

	// describeBytes bounds an answer that describes topics, offsetsBytes one that
	// lists offsets, and plainBytes all others but those of Fetch, while they are
	// put together.
	describeBytes = 16 << 20
	offsetsBytes  = 2 << 20
	plainBytes    = 8 << 10
	// maxMemoryWait is how long a call waits for memory for its answer.
	maxMemoryWait = 10 * time.Second
	// maxRefusals is how many calls of one connection may be refused, because of who
	// calls, before it is closed.
	maxRefusals = 100
	// maxOverloads is the same of calls that came while the node had too many: a
	// client that is in its right meets that as well, and tries again.
	maxOverloads = 10_000
)
