package server

import "time"

// Limits of one node. What clients may send is in talos.Limits.
const (
	// maxConnections bounds the connections to each port.
	maxConnections = 10_000
	// maxStreamsPerConnection bounds the calls that one connection has at a time.
	maxStreamsPerConnection = 1_000
	// maxHeaderBytes bounds the headers of a call or an HTTP request.
	maxHeaderBytes = 16 << 10
	// handshakeTimeout is how long a connection may take to begin.
	handshakeTimeout = 10 * time.Second

	// A stream of Produce is read no further while it has this many batches
	// without an answer, or batches of this many bytes that a log still holds.
	maxStreamBatches = 1_024
	maxStreamBytes   = 16 << 20
	// maxProduceBytes bounds the same bytes over all streams of the node.
	maxProduceBytes = 512 << 20

	// fetchOverhead is kept free in a Fetch's answer for each partition's
	// description; maxMessageBytes is the most of it.
	fetchOverhead = 2 << 10
	// maxFetchWait is the longest wait of a Fetch; longer ones are cut.
	maxFetchWait = 60 * time.Second
	// maxLongPolls bounds the fetches that wait at a time.
	maxLongPolls = 10_000
	// maxAnswerBytes bounds the batches in answers to fetches that are being put
	// together or sent.
	maxAnswerBytes = 512 << 20
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

	// handOverTimeout is how long a node that ends takes to seal its partitions.
	handOverTimeout = 30 * time.Second
	// drainTimeout is how long it then waits for calls to end.
	drainTimeout = 5 * time.Second
)
