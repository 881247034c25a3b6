package hdfsbench

import (
	"context"
	"time"
)

// client is one of the two that are compared. Its methods are called one at a
// time; each uses files of its own, and removes them after the clock has stopped.
type client interface {
	// append appends to some files at once, one append at a time to each.
	append(ctx context.Context, l load) (outcome, error)
	// stream sends pieces of pieceBytes to one file as fast as they are taken, and
	// waits until all are acknowledged.
	stream(ctx context.Context, bytes int64) (outcome, error)
	// open opens files one after the other, each with its first bytes acknowledged, and
	// with sync on disk.
	open(ctx context.Context, count int, sync bool) (outcome, error)
	// gap appends to one file while something is done to the DataNodes, and returns
	// the longest time between two acknowledgements.
	gap(ctx context.Context, during func() error) (outcome, error)
}

// load is what append is asked for.
type load struct {
	files int
	// size is the length of an append.
	size  int
	sync  bool
	lasts time.Duration
}

const (
	// appendBytes is the length of an append, where a load says no other one.
	appendBytes = 1 << 10
	// pieceBytes is the length of those of a stream, and inFlight how many of them
	// wait for their acknowledgement at most. Hadoop's client has limits of its own.
	pieceBytes = 64 << 10
	inFlight   = 64
)

// outcome is what one leg came to.
type outcome struct {
	elapsed time.Duration
	// each is what each append or opening took, or the one gap.
	each []time.Duration
	// closed is how long it took to close the file that a dead DataNode had broken;
	// 0 for a client that goes on with the same file.
	closed time.Duration
	bytes  int64
	// client and machine are the processor time that the client and the whole machine
	// used for the leg, with the making and the end of its files.
	client, machine time.Duration
}
