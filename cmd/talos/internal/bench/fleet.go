package bench

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// slotOverhead is what a record in flight costs the SDK's buffer beyond its
// value, at most, in bytes.
const slotOverhead = 512

// workload is what legs are made of.
type workload interface {
	// leg runs it once, for at most duration (0: no limit). An error is for what
	// prevents measuring; records that failed are part of the samples.
	leg(ctx context.Context, duration time.Duration) ([]loadgen.Sample, error)
	close() error
}

// fleet is the SDK's producers, and consumers at the tail.
type fleet struct {
	cfg     Config
	closers closers
	load    *loadgen.Fleet
}

// openFleet opens connections, consumers before producers.
func openFleet(ctx context.Context, cfg Config, topic talos.Topic, fill *loadgen.Payload) (*fleet, error) {
	f := &fleet{cfg: cfg, load: loadgen.NewFleet(cfg.Size, cfg.Timeout, fill)}
	if err := f.open(ctx, topic); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *fleet) open(ctx context.Context, topic talos.Topic) error {
	if f.cfg.Workload.reads() {
		consumers, err := openConsumers(ctx, f.cfg, topic, sdk.Latest, &f.closers)
		if err != nil {
			return err
		}
		for _, c := range consumers {
			f.load.AddTail(receiver{c})
		}
	}
	for number := range f.cfg.Producers {
		p, err := openProducer(ctx, f.cfg, topic.Name, &f.closers)
		if err != nil {
			return err
		}
		f.load.AddProducer(sender{p}, loadgen.Share(topic.Partitions, number, f.cfg.Producers), f.cfg.window())
	}
	return nil
}

// sender is the SDK's producer as one of the fleet.
type sender struct{ *sdk.Producer }

func (s sender) Send(ctx context.Context, partition int32, value []byte, done func(error)) error {
	return s.Producer.Send(ctx, partition, talos.Record{Value: value}, func(_ sdk.Delivery, err error) { done(err) })
}

// receiver is the SDK's consumer as one of the fleet.
type receiver struct{ *sdk.Consumer }

func (r receiver) Receive(ctx context.Context, each func([]byte)) error {
	messages, err := r.Poll(ctx)
	for i := range messages {
		each(messages[i].Value)
	}
	return err
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
			sdk.ConsumerPartitions(loadgen.Share(topic.Partitions, number, count)...), sdk.ConsumerPollBytes(pollBytes),
		)
		if err != nil {
			return nil, err
		}
		closing.add(c.Close)
		all = append(all, c)
	}
	return all, nil
}

// leg implements workload. A record that fails ends it.
func (f *fleet) leg(ctx context.Context, duration time.Duration) ([]loadgen.Sample, error) {
	return f.load.Leg(ctx, f.cfg.schedule(time.Now(), duration))
}

func (f *fleet) close() error { return f.closers.close() }
