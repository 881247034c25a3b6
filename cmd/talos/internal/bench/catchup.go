package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// pollBytes is how much consumers ask for at a time: the SDK's default. The
// yardstick of a fetch answers as much.
const pollBytes = 1 << 20

// fillWindow is how many records are in flight while a topic is filled.
const fillWindow = 4096

// catchUp reads a topic from its earliest record to the end that it has as a leg
// begins.
type catchUp struct {
	cfg   Config
	topic talos.Topic
	// limit ends a leg; 0: no limit.
	limit int64
}

// openCatchUp fills the topic if it is our own.
func openCatchUp(ctx context.Context, cfg Config, topic talos.Topic, fill *loadgen.Payload) (*catchUp, error) {
	if cfg.Topic != "" {
		return &catchUp{cfg: cfg, topic: topic, limit: cfg.Count}, nil
	}
	filling := cfg
	filling.Workload, filling.Producers, filling.Rate, filling.Count = Produce, 1, 0, cfg.records()
	filling.InFlight = max(1, min(fillWindow, openWindowBytes/cfg.Size))
	filling.MaxBytes = cfg.MaxBytes * int64(filling.legs()) // one leg may write all of it
	f, err := openFleet(ctx, filling, topic, fill)
	if err != nil {
		return nil, err
	}
	samples, err := f.leg(ctx, 0)
	if err == nil {
		err = samples[0].Err
	}
	return &catchUp{cfg: cfg, topic: topic}, errors.Join(err, f.close())
}

// leg implements workload.
func (c *catchUp) leg(ctx context.Context, duration time.Duration) (samples []loadgen.Sample, err error) {
	var opened closers
	defer func() { err = errors.Join(err, opened.close()) }()
	consumers, err := openConsumers(ctx, c.cfg, c.topic, sdk.Earliest, &opened)
	if err != nil {
		return nil, err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	start := time.Now()
	if duration > 0 {
		var cancel context.CancelFunc
		reading, cancel = context.WithDeadline(reading, start.Add(duration))
		defer cancel()
	}
	all := &readings{limit: c.limit, full: stop}
	var running sync.WaitGroup
	for _, one := range consumers {
		running.Go(func() { all.read(reading, one, c.cfg.Timeout) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s := all.sample
	s.Name = loadgen.Consumed
	if !all.last.IsZero() {
		s.Elapsed = all.last.Sub(start)
	}
	return []loadgen.Sample{s}, nil
}

func (c *catchUp) close() error { return nil }

// readings adds up what consumers read.
type readings struct {
	limit int64
	full  func() // called when limit is reached

	mu     sync.Mutex // guards the fields below
	sample loadgen.Sample
	last   time.Time
}

// read reads all partitions of a consumer up to the ends that they had.
func (r *readings) read(ctx context.Context, c *sdk.Consumer, timeout time.Duration) {
	for !atEnd(c) {
		messages, err := pollWithin(ctx, c, timeout)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.failed(c, err)
			return
		}
		r.add(messages)
	}
}

func pollWithin(ctx context.Context, c *sdk.Consumer, timeout time.Duration) ([]sdk.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.Poll(ctx)
}

func (r *readings) add(messages []sdk.Message) {
	now, size := time.Now(), int64(0)
	for i := range messages {
		size += int64(messages[i].Size())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	r.sample.Records += int64(len(messages))
	r.sample.Bytes += size
	if r.limit > 0 && r.sample.Records >= r.limit {
		r.full()
	}
}

// failed counts as failed what the consumer should have read.
func (r *readings) failed(c *sdk.Consumer, err error) {
	missing := int64(0)
	for _, p := range c.Partitions() {
		missing += max(0, int64(c.End(p)-c.Position(p)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sample.Failed += missing
	if r.sample.Err == nil {
		r.sample.Err = err
	}
}

func atEnd(c *sdk.Consumer) bool {
	for _, p := range c.Partitions() {
		if c.Position(p) < c.End(p) {
			return false
		}
	}
	return true
}
