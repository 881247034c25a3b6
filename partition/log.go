package partition

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"golang.org/x/sync/singleflight"
)

// Config says which partition to open, and over what. All fields are required
// unless they say what nil means.
type Config struct {
	// Cluster is the cluster's id; it goes into segment headers.
	Cluster string
	// Topic is the topic as it is now; its name goes into segment headers. Configure
	// changes its configuration later.
	Topic talos.Topic
	// Partition is the partition's number in the topic.
	Partition int32
	Store     storage.Store
	Records   Records
	Logger    *slog.Logger
	// Tails is the node's budget for the newest batches in memory; nil means one
	// of its own.
	Tails *Tails
	// History is the node's cache of what is in segments; nil means one of its own.
	History *History
	// Removed hears of segments that were removed from the store; nil means nobody.
	// It must not block.
	Removed func(segments int, bytes int64)
	// Metrics are shared by the logs of a process; nil means none.
	Metrics *Metrics
}

// id names the partition; its String is also the folder in the store.
func (c Config) id() talos.PartitionID {
	return talos.PartitionID{Topic: c.Topic.ID, Number: c.Partition}
}

// Appended acknowledges a batch: it is durable in the store.
type Appended struct {
	// Base is the offset of the batch's first record.
	Base talos.Offset
	// Time is when the batch was stored, to the millisecond.
	Time time.Time
	// Epoch is the one under which this log answers.
	Epoch talos.Epoch
	// Duplicate is true if an earlier attempt had stored the batch.
	Duplicate bool
}

// Stats describes the chain.
type Stats struct {
	Segments int
	Bytes    int64
}

// Log is an open partition. All methods may be called concurrently.
type Log struct {
	cfg     Config
	id      talos.PartitionID
	log     *slog.Logger
	traits  storage.Traits
	metrics *Metrics

	inbox *inbox
	view  atomic.Pointer[view]
	tail  *tail
	// loading makes concurrent readers of a segment load it once.
	loading singleflight.Group
	history *History

	times segmentTimes
	// learned tells the run goroutine that reading the age of segments is over,
	// learnFailed how.
	learned, learnFailed atomic.Bool

	// ctx ends when the log gives up what it does; stop ends it.
	ctx  context.Context
	stop context.CancelCauseFunc
	// background is sealing and recovering of segments the run goroutine has let
	// go of; slots bounds it.
	background sync.WaitGroup
	slots      chan struct{}
	done       chan struct{}
	// err is why the log ended; written before done is closed.
	err error

	// The fields below are owned by the run goroutine.

	rec talos.PartitionRecord
	// topic is the configuration now, maxSize and maxAge when it rolls a segment.
	topic   talos.TopicConfig
	maxSize int64
	maxAge  time.Duration
	// resegment tells that the active segment does not suit the configuration, and
	// configuring holds those who wait for that to end.
	resegment   bool
	configuring []chan error
	retention   retention
	producers   *producers
	// active is the segment being written; nil if there is none.
	active *active
	// inflight are appends that were issued, or must be issued again, in order.
	inflight      []*pending
	inflightBytes int64
	// acked is the end of what is acknowledged, next the end of what has offsets.
	acked, next talos.Offset
	// lastTime is the newest append time in milliseconds; it never goes back.
	lastTime int64
	lastUsed time.Time
	// startFailed is when the last attempt to start a segment failed, and how.
	startFailed    time.Time
	startFailedErr error
	// sweeps are the removals of segments that no longer count, in their order.
	sweeps   sweeps
	sweeping sync.Mutex // held by the removal that is under way
	// commitAt is when the store's commit interval lets the next append go; zero if
	// it was not the interval that held it up.
	commitAt time.Time
}

// Append queues one batch, which batch.Check has passed. It does not block.
// done is called exactly once, with the acknowledgement or an error, maybe
// before Append returns; it must not block. The log owns b from now on.
func (l *Log) Append(b []byte, done func(Appended, error)) {
	h, err := batch.Parse(b)
	if err == nil {
		err = l.inbox.offer(request{header: h, bytes: b[:h.Size], done: done})
	}
	if err != nil {
		done(Appended{}, err)
	}
}

// Range is what can be read now.
func (l *Log) Range() talos.OffsetRange { return l.view.Load().rng }

// Epoch is the epoch under which the log serves.
func (l *Log) Epoch() talos.Epoch { return l.view.Load().epoch }

// Stats describes the chain.
func (l *Log) Stats() Stats {
	v := l.view.Load()
	return Stats{Segments: len(v.chain), Bytes: v.bytes()}
}

// Changed returns a channel that is closed when Range changes, or when the log
// ends. Call it before Range, so that no change is missed.
func (l *Log) Changed() <-chan struct{} { return l.view.Load().changed }

// Done is closed when the log has ended, by Close or by itself.
func (l *Log) Done() <-chan struct{} { return l.done }

// Err says why the log ended: NotOwner after it was deposed, NotServing after
// Close, else what it failed of. It is nil until Done is closed.
func (l *Log) Err() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

// Close hands the partition over: no further appends are taken, those in the
// queue are stored and answered, the segment is sealed. When ctx ends first,
// what is left is given up: appends in the queue fail with NotServing, those that
// the store has with NotOwner, since they may be stored, and the segment stays for
// the next owner to recover. It returns when nothing of the
// log runs anymore.
func (l *Log) Close(ctx context.Context) error {
	l.inbox.close(l.ended("it was closed"))
	select {
	case <-l.done:
	case <-ctx.Done():
		l.stop(context.Cause(ctx))
		<-l.done
		return context.Cause(ctx)
	}
	return nil
}

func (l *Log) ended(why string) error {
	return &talos.Error{Kind: talos.NotServing, Op: "partition.Log", Subject: l.id.String(), Detail: why}
}

// publish replaces the view by one that edit has changed, and wakes readers.
func (l *Log) publish(edit func(*view)) {
	old := l.view.Load()
	next := *old
	next.changed = make(chan struct{})
	edit(&next)
	if next.ended {
		close(next.changed)
	}
	l.view.Store(&next)
	if !old.ended {
		close(old.changed)
	}
}
