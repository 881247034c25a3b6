package sdk

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/talos"
)

// Consumer reads partitions of one topic. It is for one goroutine; only Close and
// Stats may be called by others.
//
//	Poll: fetched batches ──► checked, decompressed ──► messages
//	         ▲ none left                                  │
//	         └── Fetch (long poll) of each owner ◄────────┘ position moves on
//
// It follows partitions that move. One that reads a whole topic finds partitions
// that are added to it within the client's metadata interval, and reads them from
// their first record.
//
// A fetch goes on when the Poll that began it ends: the next Poll takes what came.
// There is at most one for each node, of at most ConsumerPollBytes and one batch.
type Consumer struct {
	client *Client
	topic  talos.Topic // as NewConsumer found it
	cfg    consumerConfig
	limits talos.Limits // the node's
	// sources are the partitions, in the order in which they were chosen.
	sources []*source
	// turn is the source that comes first next time, so that none waits for ever.
	turn int
	// pending is what Records has taken and not yielded.
	pending []Message

	links map[string]*fetchLink // by address
	// arrivals are what fetches and looks came back with, to be called by Poll.
	arrivals chan func() error
	// looking says that a look for the partitions is under way; looks counts them
	// since something was fetched, and the next one is due at nextLook.
	looking  bool
	looks    int
	nextLook time.Time
	lastErr  error // of what is tried again

	skippedBatches, skippedOffsets, resets atomic.Int64

	ctx     context.Context // ends with Close, and with the client
	end     context.CancelFunc
	mu      sync.Mutex     // guards that nothing is added to running after end
	running sync.WaitGroup // fetches and looks
}

// source is one partition.
type source struct {
	partition int32
	position  talos.Offset
	end       talos.Offset
	epoch     talos.Epoch // the highest that was seen
	fetched   []byte      // whole batches; the first may begin below position

	address string // where it is; "" if nobody is known
	// settled says that the node there gives it.
	settled bool
	// seeks counts the calls of Seek: an answer to a fetch of before is of no use.
	seeks     int
	notBefore time.Time
	failures  int // in a row
	// added says that the partition was added while the consumer ran, and nothing of
	// it was read yet.
	added bool
	// missing is the error by which a node said that there is no such topic or
	// partition: it is not fetched until a look has told.
	missing error
	// damaged is the base of a batch that could not be taken apart, -1 if none: such
	// a batch is fetched twice before it is skipped.
	damaged talos.Offset
}

// ConsumerStats counts what a Consumer left out by itself since it began.
type ConsumerStats struct {
	// SkippedBatches are damaged batches that ConsumerSkipDamaged left out, with
	// SkippedOffsets offsets.
	SkippedBatches, SkippedOffsets int64
	// Resets are the times that ConsumerOutOfRange moved a position.
	Resets int64
}

// NewConsumer returns a consumer of a topic's partitions and finds out where they
// begin and end. It waits for the nodes to serve them, but not where none can be
// reached (Unavailable). UnknownTopic, UnknownPartition, InvalidConfig.
func (c *Client) NewConsumer(ctx context.Context, topic talos.TopicName, opts ...ConsumerOpt) (*Consumer, error) {
	const op = "sdk.NewConsumer"
	cfg, err := newConsumerConfig(opts)
	if err != nil {
		return nil, err
	}
	n := &Consumer{client: c, cfg: cfg, links: make(map[string]*fetchLink), arrivals: make(chan func() error)}
	err = patiently(ctx, op, string(topic), func() error { return n.find(ctx, topic) })
	if err != nil {
		return nil, err
	}
	n.nextLook = time.Now().Add(c.cfg.metadataInterval)
	n.ctx, n.end = context.WithCancel(c.ctx)
	return n, nil
}

// find asks for the topic, its partitions' ranges, and the node's limits.
func (c *Consumer) find(ctx context.Context, topic talos.TopicName) error {
	node, err := c.client.ServerVersion(ctx)
	if err != nil {
		return err
	}
	found, err := c.client.layout(ctx, topic)
	if err != nil {
		return err
	}
	chosen, err := c.cfg.choose(found.topic)
	if err != nil {
		return err
	}
	offsets, err := c.client.offsets(ctx, found, chosen, c.cfg.start.time)
	if err != nil {
		return err
	}
	c.topic, c.limits, c.sources = found.topic, talos.Limits{RecordBytes: node.MaxRecordBytes}, nil
	for _, o := range offsets {
		if o.Err != nil {
			return o.Err
		}
		c.sources = append(c.sources, &source{
			partition: o.Partition, position: c.cfg.start.in(o), end: o.Range.End, epoch: o.Epoch,
			address: found.owner(o.Partition), damaged: -1,
		})
	}
	return nil
}

// Partitions are those that are read.
func (c *Consumer) Partitions() []int32 {
	var all []int32
	for _, s := range c.sources {
		all = append(all, s.partition)
	}
	return all
}

// Position is the offset behind the last record of the partition that Poll
// returned or left out, or that Records yielded; -1 if the partition is not read.
func (c *Consumer) Position(partition int32) talos.Offset {
	for i := range c.pending {
		if c.pending[i].Partition == partition {
			return c.pending[i].Offset
		}
	}
	if s := c.source(partition); s != nil {
		return s.position
	}
	return -1
}

// End is where the partition ended when NewConsumer looked, 0 for one that was
// added since; -1 if the partition is not read.
func (c *Consumer) End(partition int32) talos.Offset {
	if s := c.source(partition); s != nil {
		return s.end
	}
	return -1
}

// Stats tells what was left out so far; it may be called by any goroutine.
func (c *Consumer) Stats() ConsumerStats {
	return ConsumerStats{
		SkippedBatches: c.skippedBatches.Load(), SkippedOffsets: c.skippedOffsets.Load(), Resets: c.resets.Load(),
	}
}

func (c *Consumer) source(partition int32) *source {
	for _, s := range c.sources {
		if s.partition == partition {
			return s
		}
	}
	return nil
}

// Close ends the consumer, and returns when nothing of it runs any more; a Poll
// that waits returns Closed.
func (c *Consumer) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// background runs f until it returns; Close waits for it. It does nothing once the
// consumer has ended.
func (c *Consumer) background(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	c.running.Add(1)
	if err := c.client.start(func() { defer c.running.Done(); f() }); err != nil {
		c.running.Done()
	}
}

// Poll waits for records and returns at least one; those of a partition come in
// order. It tries again by itself, until ctx ends, what passes by itself: a node
// that restarts, a partition that moves. Its error is that of ctx, Closed, a
// *BatchError or a *PartitionError; records that it has not returned are not
// lost, and another Poll goes on: with the partition of such an error after a
// delay that grows up to a second, or at once where the caller sought.
func (c *Consumer) Poll(ctx context.Context) ([]Message, error) {
	if len(c.pending) > 0 && c.ctx.Err() == nil {
		messages := c.pending
		c.pending = nil
		return messages, nil
	}
	for {
		if c.ctx.Err() != nil {
			return nil, closedError("sdk.Poll")
		}
		if err := c.takeArrivals(); err != nil {
			return nil, err
		}
		messages, err := c.decode()
		if len(messages) > 0 || err != nil {
			return messages, err
		}
		if ctx.Err() != nil {
			return nil, c.ended(ctx)
		}
		if err := c.await(ctx, c.launch(time.Now())); err != nil {
			return nil, err
		}
	}
}

// takeArrivals takes what has come already.
func (c *Consumer) takeArrivals() error {
	for {
		select {
		case take := <-c.arrivals:
			if err := take(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// await waits until something comes, or wait is over.
func (c *Consumer) await(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case take := <-c.arrivals:
		return take()
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return c.ended(ctx)
	case <-c.ctx.Done():
		return closedError("sdk.Poll")
	}
}

// ended says why a Poll ended without a record, and what it was trying.
func (c *Consumer) ended(ctx context.Context) error {
	return endError(ctx, "sdk.Poll", string(c.topic.Name), c.lastErr)
}
