package sdk

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"golang.org/x/sync/semaphore"
)

// bufferedOverhead is what a record counts against the buffer beyond what it
// takes in a batch, in bytes.
const bufferedOverhead = 256

// Producer writes records to one topic, to partitions that the caller or its
// Partitioner chooses. It may be used by several goroutines.
//
// It goes to the nodes that own the partitions, and follows partitions that move.
//
// Per partition, records are stored in the order in which Send took them, each
// once. The exception is after a failure: when done got an error, records of the
// same partition that were taken before that are either delivered, or fail as
// well; those taken later go on under a new producer id, with sequence 0. So an
// application that must not have a gap stops sending at the first error.
type Producer struct {
	topic      talos.Topic
	partitions atomic.Int32 // how many there are now
	node       ServerVersion

	choosing sync.Mutex // guards calls of choose
	choose   Partitioner

	room   *semaphore.Weighted // what the buffer has left, in bytes
	buffer int64
	intake *intake
	end    context.CancelFunc // ends the pipeline
	ended  chan struct{}      // closed when the pipeline has ended
}

// Delivery says where a record was stored. It is durable there.
type Delivery struct {
	Partition int32
	Offset    talos.Offset
	// Epoch is that of the owner that acknowledged it: it rises with each change of
	// owner, and no owner acknowledges after a later one has.
	Epoch talos.Epoch
	// Time is when the node took the record's batch, to the millisecond.
	Time time.Time
	// Duplicate says that the batch was sent more than once, and that an earlier
	// attempt had stored it.
	Duplicate bool
}

// NewProducer returns a producer for a topic. It asks the node for the topic,
// its limits and a producer id, and waits for the node to serve, but not for a
// node that can't be reached (Unavailable). UnknownTopic if there is no such
// topic, InvalidConfig if an option can't be used.
func (c *Client) NewProducer(ctx context.Context, topic talos.TopicName, opts ...ProducerOpt) (*Producer, error) {
	const op = "sdk.NewProducer"
	var node ServerVersion
	var found layout
	var id producerID
	err := patiently(ctx, op, string(topic), func() (err error) {
		if node, err = c.ServerVersion(ctx); err != nil {
			return err
		}
		if found, err = c.layout(ctx, topic); err != nil {
			return err
		}
		id, err = c.initProducer(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	cfg, err := newProducerConfig(opts, node)
	if err != nil {
		return nil, err
	}
	running, end := context.WithCancel(c.ctx)
	p := &Producer{
		topic: found.topic, node: node, choose: cfg.partitioner, buffer: int64(cfg.bufferBytes),
		room: semaphore.NewWeighted(int64(cfg.bufferBytes)), intake: newIntake(), end: end, ended: make(chan struct{}),
	}
	p.partitions.Store(found.topic.Partitions)
	if err := c.start(newPipeline(running, c, p, cfg, id, found).run); err != nil {
		end()
		return nil, err
	}
	return p, nil
}

// producerID is what a node hands out for one producer.
type producerID struct {
	id    int64
	epoch int16
}

func (c *Client) initProducer(ctx context.Context) (producerID, error) {
	const op = "sdk.InitProducer"
	answer, err := ask(ctx, c, call{op: op}, func(ctx context.Context, p *peer) (*talosv1.InitProducerResponse, error) {
		return p.log.InitProducer(ctx, &talosv1.InitProducerRequest{})
	})
	if err != nil {
		return producerID{}, err
	}
	id := producerID{id: answer.GetProducerId(), epoch: int16(answer.GetProducerEpoch())}
	if id.id < 0 || id.epoch < 0 || int32(id.epoch) != answer.GetProducerEpoch() {
		return producerID{}, malformed(op, "")
	}
	return id, nil
}

// Partitions is how many partitions the topic has, as far as is known; they count
// from 0. It grows within the client's metadata interval when some are added.
func (p *Producer) Partitions() int32 { return p.partitions.Load() }

// chosen is the partition of a record that names none.
func (p *Producer) chosen(r *talos.Record) int32 {
	p.choosing.Lock()
	defer p.choosing.Unlock()
	return p.choose(r, p.Partitions())
}

// Send takes a record and returns; done is called once with what became of it.
// With PartitionAny the producer's Partitioner chooses the partition. It waits while the buffer is full, until ctx ends; afterwards ctx has no say.
//
// An error means that the record was not taken, and that done is not called:
// UnknownPartition, RecordTooLarge (above the node's MaxRecordBytes), Closed, or
// the error that made the producer fail for good (ProducerFenced, UnknownTopic,
// OutOfOrderSequence).
//
// The record's bytes must stay as they are until done. done may be nil; calls
// for one partition come in the order of Send, from a goroutine of the producer
// that everything else waits for: it must not block, so it must not Send. Its
// error says in so many words if it is unknown whether the record was stored.
func (p *Producer) Send(ctx context.Context, partition int32, r talos.Record, done func(Delivery, error)) error {
	if partition == PartitionAny {
		partition = p.chosen(&r)
	}
	bound := batch.RecordBound(&r)
	if err := p.check(partition, &r, bound); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return endError(ctx, "sdk.Send", subject(p.topic.Name, partition), nil)
	}
	cost := min(int64(bound+bufferedOverhead), p.buffer)
	if err := p.reserve(ctx, partition, cost); err != nil {
		return err
	}
	now := time.Now()
	at := r.Timestamp
	if at.IsZero() {
		at = now
	}
	taken := taken{partition: partition, record: r, at: at, bound: bound, entry: entry{done: done, cost: cost, since: now}}
	if err := p.intake.put(taken); err != nil {
		p.room.Release(cost)
		return err
	}
	return nil
}

func (p *Producer) check(partition int32, r *talos.Record, bound int) error {
	name := subject(p.topic.Name, partition)
	switch size := r.Size(); {
	case partition < 0 || partition >= p.Partitions():
		return unknownPartition("sdk.Send", p.topic.Name, partition, p.Partitions())
	case size > p.node.MaxRecordBytes:
		return tooLarge(name, size, p.node.MaxRecordBytes)
	case batch.HeaderSize+bound > p.node.MaxBatchBytes:
		return tooLarge(name, batch.HeaderSize+bound, p.node.MaxBatchBytes)
	default:
		return nil
	}
}

func tooLarge(name string, size, limit int) error {
	return &talos.Error{
		Kind: talos.RecordTooLarge, Op: "sdk.Send", Subject: name,
		Detail: fmt.Sprintf("%d bytes, the limit is %d", size, limit),
	}
}

// reserve waits for room in the buffer until ctx or the producer ends.
func (p *Producer) reserve(ctx context.Context, partition int32, cost int64) error {
	if p.room.TryAcquire(cost) {
		return nil
	}
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.intake.open, cancel)()
	err := p.room.Acquire(either, cost)
	switch {
	case err == nil:
		return nil
	case p.intake.open.Err() != nil:
		return context.Cause(p.intake.open)
	default:
		last := &talos.Error{Kind: talos.QueueFull, Detail: "the producer's own buffer"}
		return endError(ctx, "sdk.Send", subject(p.topic.Name, partition), last)
	}
}

// SendSync sends a record and waits for what becomes of it. If ctx ends first,
// it is unknown whether the record was or will be stored.
func (p *Producer) SendSync(ctx context.Context, partition int32, r talos.Record) (Delivery, error) {
	type result struct {
		delivery Delivery
		err      error
	}
	results := make(chan result, 1)
	err := p.Send(ctx, partition, r, func(d Delivery, err error) { results <- result{d, err} })
	if err != nil {
		return Delivery{}, err
	}
	select {
	case r := <-results:
		return r.delivery, r.err
	case <-ctx.Done():
		err := fmt.Errorf("%w; %s", ctx.Err(), outcomeUnknown)
		return Delivery{}, &talos.Error{
			Kind: talos.KindOf(ctx.Err()), Op: "sdk.SendSync", Subject: subject(p.topic.Name, partition), Cause: err,
		}
	}
}

// Flush waits until all records that were taken before are done, or ctx ends. It
// returns the first error that one of them was done with since the last Flush
// that returned one.
func (p *Producer) Flush(ctx context.Context) error {
	waiting := &flush{ctx: ctx, done: make(chan error, 1)}
	p.intake.putFlush(waiting)
	select {
	case err := <-waiting.done:
		return err
	case <-p.ended:
		return p.flushed(waiting)
	case <-ctx.Done():
		return endError(ctx, "sdk.Flush", string(p.topic.Name), nil)
	}
}

// flushed is for a flush that the pipeline may have answered before it ended.
func (p *Producer) flushed(waiting *flush) error {
	select {
	case err := <-waiting.done:
		return err
	default:
		return nil
	}
}

// Close takes no more records, flushes, and ends the producer. If ctx ends
// before the flush does, what is left fails with Closed. A second call does
// nothing more.
func (p *Producer) Close(ctx context.Context) error {
	p.intake.close(closedError("sdk.Producer"))
	err := p.Flush(ctx)
	p.end()
	<-p.ended
	return err
}
