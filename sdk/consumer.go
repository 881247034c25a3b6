package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// inflateFactor is how often a batch's own size its records count at most, by the
// rules of batch.Records, if it was not compressed.
const inflateFactor = 16

// messageCost is what a message counts of a Poll beyond its record, in bytes.
const messageCost = 64

// Consumer reads partitions of one topic. It is for one goroutine; only Close
// may be called by others.
//
//	Poll: fetched batches ──► checked, decompressed ──► messages
//	         ▲ none left                                  │
//	         └── Fetch (long poll) of all partitions ◄────┘ position moves on
type Consumer struct {
	client *Client
	topic  talos.Topic
	cfg    consumerConfig
	limits talos.Limits // the node's
	// sources are the partitions, in the order in which they were chosen.
	sources []*source
	// turn is the source that comes first next time, so that none waits for ever.
	turn     int
	failures int // of fetches, in a row

	ctx context.Context // ends with Close, and with the client
	end context.CancelFunc
}

// source is one partition.
type source struct {
	partition int32
	position  talos.Offset
	end       talos.Offset
	epoch     talos.Epoch // the highest that was seen
	fetched   []byte      // whole batches; the first may begin below position
	notBefore time.Time
	failures  int // in a row
}

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

// BatchError is what Poll returns for a batch that can't be taken apart. Each
// further Poll tries it again; Seek(Partition, Next) leaves it out.
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

// NewConsumer returns a consumer of a topic's partitions and finds out where they
// begin and end. It waits for the node to serve them, but not for a node that
// can't be reached (Unavailable). UnknownTopic, UnknownPartition, InvalidConfig.
func (c *Client) NewConsumer(ctx context.Context, topic talos.TopicName, opts ...ConsumerOpt) (*Consumer, error) {
	const op = "sdk.NewConsumer"
	cfg, err := newConsumerConfig(opts)
	if err != nil {
		return nil, err
	}
	n := &Consumer{client: c, cfg: cfg}
	err = patiently(ctx, op, string(topic), func() error { return n.find(ctx, topic) })
	if err != nil {
		return nil, err
	}
	n.ctx, n.end = context.WithCancel(c.ctx)
	return n, nil
}

// find asks for the topic, its partitions' ranges, and the node's limits.
func (c *Consumer) find(ctx context.Context, topic talos.TopicName) error {
	node, err := c.client.ServerVersion(ctx)
	if err != nil {
		return err
	}
	d, err := c.client.Describe(ctx, topic)
	if err != nil {
		return err
	}
	chosen, err := c.cfg.choose(d.Topic)
	if err != nil {
		return err
	}
	offsets, err := c.client.offsets(ctx, d.Topic, chosen)
	if err != nil {
		return err
	}
	c.topic, c.limits, c.sources = d.Topic, talos.Limits{RecordBytes: node.MaxRecordBytes}, nil
	for _, o := range offsets {
		if o.Err != nil {
			return o.Err
		}
		c.sources = append(c.sources, &source{
			partition: o.Partition, position: c.cfg.start.in(o.Range), end: o.Range.End, epoch: o.Epoch,
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
// returned or left out; -1 if the partition is not read.
func (c *Consumer) Position(partition int32) talos.Offset {
	if s := c.source(partition); s != nil {
		return s.position
	}
	return -1
}

// End is where the partition ended when NewConsumer looked; -1 if the partition
// is not read.
func (c *Consumer) End(partition int32) talos.Offset {
	if s := c.source(partition); s != nil {
		return s.end
	}
	return -1
}

func (c *Consumer) source(partition int32) *source {
	for _, s := range c.sources {
		if s.partition == partition {
			return s
		}
	}
	return nil
}

// Seek makes the next Poll go on at an offset of the partition. UnknownPartition
// if the partition is not read, InvalidRequest if the offset is negative.
func (c *Consumer) Seek(partition int32, offset talos.Offset) error {
	s := c.source(partition)
	switch {
	case s == nil:
		return unknownPartition("sdk.Seek", c.topic, partition)
	case offset < 0:
		return &talos.Error{
			Kind: talos.InvalidRequest, Op: "sdk.Seek", Subject: subject(c.topic.Name, partition),
			Detail: fmt.Sprintf("offset %d is negative", offset),
		}
	}
	s.position, s.fetched, s.notBefore, s.failures = offset, nil, time.Time{}, 0
	return nil
}

// Close ends the consumer; a Poll that waits returns Closed.
func (c *Consumer) Close() error {
	c.end()
	return nil
}

// Poll waits for records and returns at least one; those of a partition come in
// order. It tries again by itself, until ctx ends, what passes by itself: a node
// that restarts, a partition that moves. Its error is that of ctx, Closed, a
// *BatchError or a *PartitionError; records that it has not returned are not
// lost, and another Poll goes on.
func (c *Consumer) Poll(ctx context.Context) ([]Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for {
		if c.ctx.Err() != nil {
			return nil, closedError("sdk.Poll")
		}
		messages, err := c.decode()
		if len(messages) > 0 || err != nil {
			return messages, err
		}
		if err := c.fetch(ctx); err != nil {
			return nil, err
		}
	}
}

// decode takes fetched batches apart, up to about pollBytes.
func (c *Consumer) decode() ([]Message, error) {
	var messages []Message
	room := c.cfg.pollBytes
	for i := range c.sources {
		s := c.sources[(c.turn+i)%len(c.sources)]
		for len(s.fetched) > 0 && room > 0 {
			before := len(messages)
			var err error
			if messages, err = c.decodeOne(s, messages); err != nil {
				if len(messages) > 0 {
					return messages, nil // the next Poll comes to it again
				}
				s.fetched = nil // fetched again, in case it was damaged on its way
				return nil, err
			}
			for j := range messages[before:] {
				room -= messages[before+j].Size() + messageCost
			}
		}
	}
	return messages, nil
}

// decodeOne appends the messages of the first fetched batch, all or none.
func (c *Consumer) decodeOne(s *source, messages []Message) ([]Message, error) {
	before := len(messages)
	h, err := batch.Parse(s.fetched)
	if err == nil && h.Next() <= s.position {
		err = fmt.Errorf("the batch ends at offset %d", h.Next())
	}
	if err != nil {
		return messages, &PartitionError{Partition: s.partition, Err: c.undecodable(s, s.position, err)}
	}
	limit := max(talos.MaxInflatedBytes, inflateFactor*c.limits.BatchBytes())
	for r, err := range batch.Records(s.fetched[:h.Size:h.Size], limit) {
		if err != nil {
			err = c.undecodable(s, h.Base, err)
			return messages[:before], &BatchError{Partition: s.partition, Base: h.Base, Next: h.Next(), Err: err}
		}
		if r.Offset >= s.position {
			messages = append(messages, Message{
				Topic: c.topic.Name, Partition: s.partition, Offset: r.Offset, Record: r.Record,
			})
		}
	}
	s.position, s.fetched = h.Next(), s.fetched[h.Size:]
	return messages, nil
}

// undecodable says where the batch is and, instead of repeating that it can't be
// decoded, why.
func (c *Consumer) undecodable(s *source, at talos.Offset, why error) error {
	if e := (*talos.Error)(nil); errors.As(why, &e) && e.Kind == talos.UndecodableBatch {
		why = e.Cause
	}
	return &talos.Error{
		Kind: talos.UndecodableBatch, Op: "sdk.Poll", Subject: subject(c.topic.Name, s.partition),
		Detail: fmt.Sprintf("at offset %d", at), Cause: why,
	}
}
