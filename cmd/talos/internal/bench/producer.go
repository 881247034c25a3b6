package bench

import (
	"context"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// slotOverhead is what a record in flight costs the SDK's buffer beyond its
// value, at most, in bytes.
const slotOverhead = 512

// sender is what a producer needs of the SDK's.
type sender interface {
	Send(ctx context.Context, partition int32, r talos.Record, done func(sdk.Delivery, error)) error
	Flush(ctx context.Context) error
}

// producer sends the records of one leg after the other, a window of them at a
// time.
type producer struct {
	sdk        sender
	partitions []int32 // its own, in turn
	turn       int
	size       int
	payload    *payload
	epoch      time.Time // when the bench began

	// free has the slots that are not in flight; made counts all of them.
	free chan *slot
	made int

	// answered is the SDK's goroutine's while a leg runs.
	answered tally
	sent     int64
	late     *latencies // nil in a closed loop
}

// tally is what became of the records that were sent.
type tally struct {
	records, failed int64
	latencies       *latencies
	last            time.Time // when one was acknowledged last
	err             error     // of the first that failed
	onFailure       func()
}

// slot is room for one record in flight.
type slot struct {
	producer *producer
	value    []byte
	due      time.Time
	done     func(sdk.Delivery, error) // delivered, bound once
}

func newProducer(s sender, partitions []int32, size, window int, p *payload, epoch time.Time) *producer {
	return &producer{
		sdk: s, partitions: partitions, size: size, payload: p, epoch: epoch, free: make(chan *slot, window),
	}
}

// run sends what pace hands out, and returns when all of it has its answer.
// onFailure is called when a record fails; it may be called by any goroutine.
func (p *producer) run(ctx context.Context, pace *pace, mark stamp, onFailure func()) sample {
	p.answered = tally{latencies: newLatencies(), onFailure: onFailure}
	p.late, p.sent = nil, 0
	if pace.rate > 0 {
		p.late = newLatencies()
	}
	refused := p.sendAll(ctx, pace, mark)
	if refused != nil {
		onFailure()
	}
	// What was taken is answered within the SDK's delivery timeout. The error is one
	// that a record was done with, and so is told already.
	_ = p.sdk.Flush(context.WithoutCancel(ctx))

	a := p.answered
	result := sample{
		name: produceName, records: a.records, failed: a.failed, bytes: a.records * int64(p.size),
		latencies: a.latencies, late: p.late, err: a.err,
	}
	if !a.last.IsZero() {
		result.elapsed = a.last.Sub(pace.start)
	}
	if refused != nil {
		result.failed++
		result.err = refused
	}
	return result
}

// sendAll returns the error of a record that the SDK did not take.
func (p *producer) sendAll(ctx context.Context, pace *pace, mark stamp) error {
	for {
		s := p.slot(ctx)
		if s == nil {
			return nil
		}
		t, ok := pace.next(ctx)
		if !ok {
			p.free <- s
			return nil
		}
		if err := p.send(ctx, s, t, mark); err != nil {
			p.free <- s
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// slot waits for room for one more record in flight; nil if ctx ends first.
func (p *producer) slot(ctx context.Context) *slot {
	select {
	case s := <-p.free:
		return s
	default:
	}
	if p.made < cap(p.free) {
		p.made++
		s := &slot{producer: p, value: make([]byte, p.size)}
		s.done = s.delivered
		return s
	}
	select {
	case s := <-p.free:
		return s
	case <-ctx.Done():
		return nil
	}
}

func (p *producer) send(ctx context.Context, s *slot, t ticket, mark stamp) error {
	s.due, mark.due = t.due, t.due.Sub(p.epoch)
	mark.put(s.value)
	p.payload.fill(s.value, t.number)
	partition := p.partitions[p.turn%len(p.partitions)]
	if err := p.sdk.Send(ctx, partition, talos.Record{Value: s.value}, s.done); err != nil {
		return err
	}
	p.turn++
	p.sent++
	if p.late != nil {
		p.late.record(t.late)
	}
	return nil
}

// delivered is called by the SDK; it must not block: free has room for all slots.
func (s *slot) delivered(_ sdk.Delivery, err error) {
	a := &s.producer.answered
	if err == nil {
		a.last = time.Now()
		a.records++
		a.latencies.record(a.last.Sub(s.due))
	} else {
		a.failed++
		if a.err == nil {
			a.err = err
			a.onFailure()
		}
	}
	s.producer.free <- s
}
