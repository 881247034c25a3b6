package loadgen

import (
	"context"
	"time"
)

// Sender is a producer's client.
type Sender interface {
	// Send takes a record for a partition, and may block. done is called once with
	// what became of it, by one goroutine for all records of the sender, and only if
	// Send returned nil. value is the sender's until then.
	Send(ctx context.Context, partition int32, value []byte, done func(error)) error
	// Flush waits until every record that was taken is done with.
	Flush(ctx context.Context) error
}

// producer sends the records of one leg after the other, a window of them at a
// time.
type producer struct {
	sender     Sender
	partitions []int32 // its own, in turn
	turn       int
	size       int
	payload    *Payload
	epoch      time.Time // when the bench began

	// free has the slots that are not in flight; made counts all of them.
	free chan *slot
	made int

	// answered is the goroutine's that calls done, while a leg runs.
	answered tally
	sent     int64
	late     *Latencies // nil in a closed loop
}

// tally is what became of the records that were sent.
type tally struct {
	records, failed int64
	latencies       *Latencies
	last            time.Time // when one was acknowledged last
	err             error     // of the first that failed
	onFailure       func()
}

// slot is room for one record in flight.
type slot struct {
	producer *producer
	value    []byte
	due      time.Time
	done     func(error) // delivered, bound once
}

func newProducer(s Sender, partitions []int32, size, window int, p *Payload, epoch time.Time) *producer {
	return &producer{
		sender: s, partitions: partitions, size: size, payload: p, epoch: epoch, free: make(chan *slot, window),
	}
}

// run sends what pace hands out, and returns when all of it has its answer.
// onFailure is called when a record fails; it may be called by any goroutine.
func (p *producer) run(ctx context.Context, pace *pace, mark stamp, onFailure func()) Sample {
	p.answered = tally{latencies: NewLatencies(), onFailure: onFailure}
	p.late, p.sent = nil, 0
	if pace.Rate > 0 {
		p.late = NewLatencies()
	}
	refused := p.sendAll(ctx, pace, mark)
	if refused != nil {
		onFailure()
	}
	// What was taken is answered within the sender's own timeout. The error is one
	// that a record was done with, and so is told already.
	_ = p.sender.Flush(context.WithoutCancel(ctx))

	a := p.answered
	result := Sample{
		Name: Produced, Records: a.records, Failed: a.failed, Bytes: a.records * int64(p.size),
		Latencies: a.latencies, Late: p.late, Err: a.err,
	}
	if !a.last.IsZero() {
		result.Elapsed = a.last.Sub(pace.Start)
	}
	if refused != nil {
		result.Failed++
		result.Err = refused
	}
	return result
}

// sendAll returns the error of a record that was not taken.
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
	p.payload.Fill(s.value, t.number)
	partition := p.partitions[p.turn%len(p.partitions)]
	if err := p.sender.Send(ctx, partition, s.value, s.done); err != nil {
		return err
	}
	p.turn++
	p.sent++
	if p.late != nil {
		p.late.Record(t.late)
	}
	return nil
}

// delivered is called by the sender; it must not block: free has room for all slots.
func (s *slot) delivered(err error) {
	a := &s.producer.answered
	if err == nil {
		a.last = time.Now()
		a.records++
		a.latencies.Record(a.last.Sub(s.due))
	} else {
		a.failed++
		if a.err == nil {
			a.err = err
			a.onFailure()
		}
	}
	s.producer.free <- s
}
