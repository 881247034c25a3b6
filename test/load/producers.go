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
const deliveryTimeout = 5 * time.Minute

// Plan says what to send.
type Plan struct {
	// Address is the node's.
	Address string
	Topic   talos.TopicName
	// Codecs has an entry for each producer.
	Codecs []batch.Codec
	// Plain is how many producers there are beyond these that have no id, and send
	// each record once.
	Plain int
	// Records is how many records each producer sends; 0: until Stop.
	Records int
	// Window bounds the records of each producer that wait for their answer: a
	// job must not lie in buffers before the first kill.
	Window int
	// Rate bounds the records that each producer sends in a second; 0 means that
	// the window alone does.
	Rate int
	// Expected tells of an error whether a producer may meet it; nil means that none
	// may be met.
	Expected func(error) bool
	Lines    [][]byte
	History  *history.History
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

// StartProducers opens them all, for which the node must serve, and starts them.
// ctx bounds all that they do.
func StartProducers(ctx context.Context, plan Plan) (*Producers, error) {
	p := &Producers{plan: plan, stopping: make(chan struct{})}
	var all []sender
	for number := range len(plan.Codecs) + plan.Plain {
		one, err := p.open(ctx, number)
		if err != nil {
			for _, opened := range all {
				err = errors.Join(err, opened.close(ctx))
			}
			return nil, err
		}
		all = append(all, one)
	}
	for _, one := range all {
		p.wg.Go(func() {
			if err := errors.Join(one.run(ctx), one.close(ctx)); err != nil && !plan.expects(err) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.errs = append(p.errs, fmt.Errorf("producer %d: %w", one.name(), err))
			}
		})
	}
	return p, nil
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

// sender is one of them.
type sender interface {
	name() int
	run(ctx context.Context) error
	close(ctx context.Context) error
}

func (p *Producers) open(ctx context.Context, number int) (sender, error) {
	if number < len(p.plan.Codecs) {
		return openIdempotent(ctx, p.plan, p.stopping, number)
	}
	return openPlain(ctx, p.plan, p.stopping, number)
}

// idempotent is one that has the SDK's whole care.
type idempotent struct {
	plan     Plan
	stopping <-chan struct{}
	number   int
	client   *sdk.Client
	sender   *sdk.Producer
}

func openIdempotent(ctx context.Context, plan Plan, stopping <-chan struct{}, number int) (*idempotent, error) {
	client, err := sdk.Dial(plan.Address)
	if err != nil {
		return nil, err
	}
	sender, err := client.NewProducer(ctx, plan.Topic,
		sdk.ProducerCodec(plan.Codecs[number]), sdk.ProducerDeliveryTimeout(deliveryTimeout))
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &idempotent{plan: plan, stopping: stopping, number: number, client: client, sender: sender}, nil
}

func (p *idempotent) name() int { return p.number }

// close waits for all answers first.
func (p *idempotent) close(ctx context.Context) error {
	return errors.Join(p.sender.Close(ctx), p.client.Close())
}

func (p *idempotent) run(ctx context.Context) error {
	window := make(chan struct{}, p.plan.Window)
	pace := newPace(p.plan.Rate)
	defer pace.stop()
	for sequence := 0; p.plan.Records == 0 || sequence < p.plan.Records; sequence++ {
		select {
		case <-p.stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case window <- struct{}{}:
		}
		if !pace.wait(ctx, p.stopping) {
			return nil
		}
		id := history.ID{Producer: p.number, Sequence: sequence}
		if err := p.send(ctx, id, func() { <-window }); err != nil {
			return err
		}
	}
	return nil
}

func (p *idempotent) send(ctx context.Context, id history.ID, answered func()) error {
	r := Record(id, p.plan.Lines)
	partition := PartitionOf(id, p.sender.Partitions())
	h := p.plan.History
	h.Send(id, partition, history.DigestOf(&r))
	err := p.sender.Send(ctx, partition, r, func(d sdk.Delivery, err error) {
		defer answered()
		if err != nil {
			p.failed(id, err)
			return
		}
		h.Acked(id, history.Ack{Partition: d.Partition, Offset: d.Offset, Epoch: d.Epoch, Duplicate: d.Duplicate})
	})
	if err != nil {
		p.failed(id, err)
		return fmt.Errorf("send %v: %w", id, err)
	}
	return nil
}

func (p *idempotent) failed(id history.ID, err error) {
	if p.plan.expects(err) {
		p.plan.History.Unknown(id, err)
	} else {
		p.plan.History.Failed(id, err)
	}
}

func (p *Plan) expects(err error) bool { return p.Expected != nil && p.Expected(err) }
