package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/history"
)

// deliveryTimeout is how long a producer lives through a node that is down.
const deliveryTimeout = 2 * time.Minute

// Plan says what to send.
type Plan struct {
	// Address is the node's.
	Address string
	Topic   talos.TopicName
	// Codecs has an entry for each producer.
	Codecs []batch.Codec
	// Records is how many records each producer sends; 0: until Stop.
	Records int
	// Window bounds the records of each producer that wait for their answer: a
	// job must not lie in buffers before the first kill.
	Window  int
	Lines   [][]byte
	History *history.History
}

// Producers are running producers, each with a connection of its own.
type Producers struct {
	plan Plan
	// stopping is closed by Stop.
	stopping chan struct{}
	stop     sync.Once
	wg       sync.WaitGroup

	mu   sync.Mutex // guards errs
	errs []error
}

// StartProducers starts them. ctx bounds all that they do.
func StartProducers(ctx context.Context, plan Plan) *Producers {
	p := &Producers{plan: plan, stopping: make(chan struct{})}
	for number, codec := range plan.Codecs {
		p.wg.Go(func() {
			if err := p.produce(ctx, number, codec); err != nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.errs = append(p.errs, fmt.Errorf("producer %d (%v): %w", number, codec, err))
			}
		})
	}
	return p
}

// Stop lets the producers end after the record that they are at.
func (p *Producers) Stop() { p.stop.Do(func() { close(p.stopping) }) }

// Wait returns when each record has its answer and nothing runs anymore: with an
// error if a producer met one.
func (p *Producers) Wait() error {
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}

func (p *Producers) produce(ctx context.Context, number int, codec batch.Codec) (err error) {
	client, err := sdk.Dial(p.plan.Address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	producer, err := client.NewProducer(ctx, p.plan.Topic,
		sdk.ProducerCodec(codec), sdk.ProducerDeliveryTimeout(deliveryTimeout))
	if err != nil {
		return err
	}
	window := make(chan struct{}, p.plan.Window)
	for sequence := 0; p.plan.Records == 0 || sequence < p.plan.Records; sequence++ {
		select {
		case <-p.stopping:
			return producer.Close(ctx)
		case window <- struct{}{}:
		}
		id := history.ID{Producer: number, Sequence: sequence}
		if err := p.send(ctx, producer, id, func() { <-window }); err != nil {
			return errors.Join(err, producer.Close(ctx))
		}
	}
	// Close waits for all answers.
	return producer.Close(ctx)
}

func (p *Producers) send(ctx context.Context, producer *sdk.Producer, id history.ID, answered func()) error {
	r := Record(id, p.plan.Lines)
	partition := PartitionOf(id, producer.Partitions())
	h := p.plan.History
	h.Send(id, partition, history.DigestOf(&r))
	err := producer.Send(ctx, partition, r, func(d sdk.Delivery, err error) {
		defer answered()
		if err != nil {
			h.Failed(id, err)
			return
		}
		h.Acked(id, d.Partition, d.Offset)
	})
	if err != nil {
		h.Failed(id, err)
		return fmt.Errorf("send %v: %w", id, err)
	}
	return nil
}
