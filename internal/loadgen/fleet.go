package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
)

// Fleet is producers, and consumers at the tail, of one topic. They live through
// all legs, so that none of these measures how connections are opened. It belongs
// to one goroutine.
type Fleet struct {
	size    int
	timeout time.Duration
	payload *Payload

	epoch     time.Time
	producers []*producer
	tails     []*tail
	mark      stamp // of the leg that runs
}

// NewFleet has nobody in it yet. Values have size bytes, at least StampBytes. timeout
// bounds the wait for what was acknowledged, and was not received yet.
func NewFleet(size int, timeout time.Duration, p *Payload) *Fleet {
	return &Fleet{size: size, timeout: timeout, payload: p, epoch: time.Now(), mark: stamp{run: rand.Uint32()}}
}

// AddProducer adds one that keeps up to window records in flight, and goes round
// the partitions.
func (f *Fleet) AddProducer(s Sender, partitions []int32, window int) {
	f.producers = append(f.producers, newProducer(s, partitions, f.size, window, f.payload, f.epoch))
}

// AddTail adds a consumer, which stands at the end of partitions of its own.
func (f *Fleet) AddTail(r Receiver) {
	f.tails = append(f.tails, &tail{receiver: r, epoch: f.epoch})
}

// Leg sends the records of a schedule, and waits until each has its answer and,
// if there are tails, until those that were acknowledged were received. It returns
// the samples Produced and, with tails, Consumed; a record that fails ends the leg
// and is in its sample. The error is that of ctx.
func (f *Fleet) Leg(ctx context.Context, s Schedule) ([]Sample, error) {
	f.mark.leg++
	arrived := newArrivals()
	receiving, stopReceiving := context.WithCancel(ctx)
	defer stopReceiving()
	var tails sync.WaitGroup
	received := make([]*Latencies, len(f.tails))
	for i, t := range f.tails {
		tails.Go(func() { received[i] = t.run(receiving, f.mark, arrived) })
	}

	produced := f.produce(ctx, s)
	if len(f.tails) == 0 {
		return []Sample{produced}, ctx.Err()
	}
	arrived.expect(produced.Records)
	await(ctx, arrived, f.timeout)
	stopReceiving()
	tails.Wait()
	return []Sample{produced, f.consumed(arrived, received, produced.Records, s.Start)}, ctx.Err()
}

// produce runs the producers until each of their records has its answer.
func (f *Fleet) produce(ctx context.Context, s Schedule) Sample {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	p := &pace{Schedule: s}
	var running sync.WaitGroup
	results := make([]Sample, len(f.producers))
	for i, one := range f.producers {
		running.Go(func() { results[i] = one.run(sending, p, f.mark, stop) })
	}
	running.Wait()
	all := Sample{Name: Produced}
	elapsed := time.Duration(0)
	sent := int64(0)
	for i, r := range results {
		elapsed = max(elapsed, r.Elapsed)
		all.Add(r)
		sent += f.producers[i].sent
	}
	all.Elapsed = elapsed
	if all.Failed == 0 {
		all.Unsent = p.unsent(sent)
	}
	return all
}

// consumed is the sample of the consumers; those of wanted that did not come
// failed.
func (f *Fleet) consumed(arrived *arrivals, received []*Latencies, wanted int64, start time.Time) Sample {
	n, last, err := arrived.count()
	s := Sample{
		Name: Consumed, Records: n, Bytes: n * int64(f.size), Failed: max(0, wanted-n),
		Latencies: NewLatencies(), Err: err,
	}
	if !last.IsZero() {
		s.Elapsed = last.Sub(start)
	}
	for _, l := range received {
		s.Latencies.Add(l)
	}
	if s.Failed > 0 && err == nil {
		s.Err = &talos.Error{
			Kind: talos.Timeout, Op: "bench",
			Detail: fmt.Sprintf("acknowledged, and not received within %v", f.timeout),
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
