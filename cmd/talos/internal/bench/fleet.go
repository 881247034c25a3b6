package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// workload is what legs are made of.
type workload interface {
	// leg runs it once, for at most duration (0: no limit). An error is for what
	// prevents measuring; records that failed are part of the samples.
	leg(ctx context.Context, duration time.Duration) ([]sample, error)
	close() error
}

// fleet is producers, and consumers at the tail. They live through all legs, so
// that none of these measures how connections are opened.
type fleet struct {
	cfg       Config
	closers   closers
	producers []*producer
	tails     []*tail
	mark      stamp // of the leg that runs
}

// openFleet opens connections, consumers before producers.
func openFleet(ctx context.Context, cfg Config, topic talos.Topic, fill *payload) (*fleet, error) {
	f := &fleet{cfg: cfg, mark: stamp{run: rand.Uint32()}}
	if err := f.open(ctx, topic, fill, time.Now()); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *fleet) open(ctx context.Context, topic talos.Topic, fill *payload, epoch time.Time) error {
	if f.cfg.Workload.reads() {
		consumers, err := openConsumers(ctx, f.cfg, topic, sdk.Latest, &f.closers)
		if err != nil {
			return err
		}
		for _, c := range consumers {
			f.tails = append(f.tails, &tail{sdk: c, epoch: epoch})
		}
	}
	window := f.cfg.window()
	for number := range f.cfg.Producers {
		p, err := openProducer(ctx, f.cfg, topic.Name, &f.closers)
		if err != nil {
			return err
		}
		own := share(topic.Partitions, number, f.cfg.Producers)
		f.producers = append(f.producers, newProducer(p, own, f.cfg.Size, window, fill, epoch))
	}
	return nil
}

// openProducer opens a producer with a connection of its own. Its buffer never
// is what a window waits for.
func openProducer(ctx context.Context, cfg Config, topic talos.TopicName, closing *closers) (*sdk.Producer, error) {
	client, err := cfg.dial(closing)
	if err != nil {
		return nil, err
	}
	node, err := client.ServerVersion(ctx)
	if err != nil {
		return nil, err
	}
	p, err := client.NewProducer(
		ctx, topic, sdk.ProducerCodec(cfg.Codec), sdk.ProducerDeliveryTimeout(cfg.Timeout),
		sdk.ProducerBufferBytes(max(node.MaxBatchBytes, cfg.window()*(cfg.Size+slotOverhead))),
	)
	if err != nil {
		return nil, err
	}
	closing.add(func() error { return p.Close(context.WithoutCancel(ctx)) })
	return p, nil
}

// openConsumers opens up to cfg.Consumers consumers, each with a connection and
// with partitions of its own.
func openConsumers(ctx context.Context, cfg Config, topic talos.Topic, start sdk.Start, closing *closers) ([]*sdk.Consumer, error) {
	var all []*sdk.Consumer
	count := min(cfg.Consumers, int(topic.Partitions))
	for number := range count {
		client, err := cfg.dial(closing)
		if err != nil {
			return nil, err
		}
		c, err := client.NewConsumer(
			ctx, topic.Name, sdk.ConsumerStart(start),
			sdk.ConsumerPartitions(share(topic.Partitions, number, count)...), sdk.ConsumerPollBytes(pollBytes),
		)
		if err != nil {
			return nil, err
		}
		closing.add(c.Close)
		all = append(all, c)
	}
	return all, nil
}

// share is which of the partitions belong to one of so many: each to one of them;
// or, if they are more than the partitions, one to each.
func share(partitions int32, number, of int) []int32 {
	if of > int(partitions) {
		return []int32{int32(number) % partitions}
	}
	var own []int32
	for p := int32(number); p < partitions; p += int32(of) {
		own = append(own, p)
	}
	return own
}

// leg implements workload. A record that fails ends it.
func (f *fleet) leg(ctx context.Context, duration time.Duration) ([]sample, error) {
	f.mark.leg++
	arrived := newArrivals()
	receiving, stopReceiving := context.WithCancel(ctx)
	defer stopReceiving()
	var tails sync.WaitGroup
	received := make([]*latencies, len(f.tails))
	for i, t := range f.tails {
		tails.Go(func() { received[i] = t.run(receiving, f.mark, arrived) })
	}

	start := time.Now()
	produced := f.produce(ctx, start, duration)
	if len(f.tails) == 0 {
		return []sample{produced}, ctx.Err()
	}
	arrived.expect(produced.records)
	await(ctx, arrived, f.cfg.Timeout)
	stopReceiving()
	tails.Wait()
	return []sample{produced, f.consumed(arrived, received, produced.records, start)}, ctx.Err()
}

// produce runs the producers until each of their records has its answer.
func (f *fleet) produce(ctx context.Context, start time.Time, duration time.Duration) sample {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	p := &pace{schedule: f.cfg.schedule(start, duration)}
	var running sync.WaitGroup
	results := make([]sample, len(f.producers))
	for i, one := range f.producers {
		running.Go(func() { results[i] = one.run(sending, p, f.mark, stop) })
	}
	running.Wait()
	all := sample{name: produceName}
	elapsed := time.Duration(0)
	sent := int64(0)
	for i, r := range results {
		elapsed = max(elapsed, r.elapsed)
		all.add(r)
		sent += f.producers[i].sent
	}
	all.elapsed = elapsed
	if all.failed == 0 {
		all.unsent = p.unsent(sent)
	}
	return all
}

// consumed is the sample of the consumers; those of wanted that did not come
// failed.
func (f *fleet) consumed(arrived *arrivals, received []*latencies, wanted int64, start time.Time) sample {
	n, last, err := arrived.count()
	s := sample{
		name: consumeName, records: n, bytes: n * int64(f.cfg.Size), failed: max(0, wanted-n),
		latencies: newLatencies(), err: err,
	}
	if !last.IsZero() {
		s.elapsed = last.Sub(start)
	}
	for _, l := range received {
		s.latencies.add(l)
	}
	if s.failed > 0 && err == nil {
		s.err = &talos.Error{
			Kind: talos.Timeout, Op: "bench",
			Detail: fmt.Sprintf("acknowledged, and not received within %v", f.cfg.Timeout),
		}
	}
	return s
}

// await waits until all records came, the timeout is over, or ctx ends.
func await(ctx context.Context, a *arrivals, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-a.complete:
	case <-ctx.Done():
	}
}

func (f *fleet) close() error { return f.closers.close() }
