package clusterbench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

const (
	recordBytes = 1 << 10
	producers   = 2
	// pace is how often each producer sends what is due.
	pace = 4 * time.Millisecond
	// bufferBytes is more than a producer has under way, so that a partition which
	// pauses does not make the others wait.
	bufferBytes = 256 << 20
	// maxErrors bounds those that are told; all are counted.
	maxErrors = 5
)

// ack is an acknowledgement of a record, and when the record was sent.
type ack struct{ sent, at time.Time }

// traffic is idempotent producers that send at a pace to some partitions, in turns.
type traffic struct {
	stop    context.CancelFunc
	senders sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	acks   map[int32][]ack
	failed int
	errs   []error
}

// drive starts producers that send rate records a second in all.
func (l *lab) drive(ctx context.Context, partitions []int32, rate int) (*traffic, error) {
	ctx, stop := context.WithCancel(ctx)
	tr := &traffic{stop: stop, acks: make(map[int32][]ack)}
	for number := range producers {
		client, err := sdk.Dial(l.addresses)
		if err != nil {
			return nil, errors.Join(err, tr.end())
		}
		p, err := client.NewProducer(ctx, topic, sdk.ProducerBufferBytes(bufferBytes))
		if err != nil {
			return nil, errors.Join(err, client.Close(), tr.end())
		}
		tr.senders.Go(func() {
			tr.send(ctx, p, partitions, number, rate)
			// What is under way shall be answered, also when it is told to stop.
			tr.note(errors.Join(p.Close(context.WithoutCancel(ctx)), client.Close()))
		})
	}
	return tr, nil
}

// send goes on until ctx ends.
func (tr *traffic) send(ctx context.Context, p *sdk.Producer, partitions []int32, number, rate int) {
	value := make([]byte, recordBytes)
	_, _ = rand.Read(value) // it never fails
	begun := time.Now()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for sent := 0; ; {
		due := int(time.Since(begun).Seconds() * float64(rate) / producers)
		for ; sent < due; sent++ {
			// The producers begin at different ends of the partitions.
			partition := partitions[(sent+number*len(partitions)/producers)%len(partitions)]
			at := time.Now()
			err := p.Send(ctx, partition, talos.Record{Value: value}, func(d sdk.Delivery, err error) { tr.answered(at, d, err) })
			if ctx.Err() != nil {
				return
			}
			tr.note(err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (tr *traffic) answered(sent time.Time, d sdk.Delivery, err error) {
	if err != nil {
		tr.note(err)
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.acks[d.Partition] = append(tr.acks[d.Partition], ack{sent, time.Now()})
}

func (tr *traffic) note(err error) {
	if err == nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.failed++
	if len(tr.errs) < maxErrors {
		tr.errs = append(tr.errs, err)
	}
}

// end ends the traffic, and returns the first errors that producers met.
func (tr *traffic) end() error {
	tr.stop()
	tr.senders.Wait()
	return errors.Join(tr.errs...)
}

// finish ends the traffic, and reports how many errors there were.
func (l *lab) finish(tr *traffic) {
	if err := tr.end(); err != nil {
		l.say("producers met errors: %v", err)
	}
	l.atMost("errors at producers", "", float64(tr.failed), 0)
}

// served returns when each of the partitions had acknowledged a record that was sent
// after a moment.
func (tr *traffic) served(partitions []int32, after time.Time) (last time.Time, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, p := range partitions {
		acks := tr.acks[p]
		var first time.Time
		for i := len(acks) - 1; i >= 0 && acks[i].at.After(after); i-- {
			if acks[i].sent.After(after) {
				first = acks[i].at
			}
		}
		if first.IsZero() {
			return last, fmt.Errorf("partition %d does not acknowledge", p)
		}
		if first.After(last) {
			last = first
		}
	}
	return last, nil
}

// awaitServed waits for that.
func (l *lab) awaitServed(ctx context.Context, tr *traffic, partitions []int32, after time.Time) (last time.Time, err error) {
	err = l.await(ctx, "all partitions acknowledge", func(context.Context) (bool, error) {
		last, err = tr.served(partitions, after)
		return err == nil, err
	})
	return last, err
}

// pause is the longest time between two acknowledgements of a partition that
// overlaps the time from one moment to another; what is between two records that
// nobody sent counts, too.
func (tr *traffic) pause(partition int32, from, to time.Time) (longest time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	acks := tr.acks[partition]
	for i := 1; i < len(acks); i++ {
		if acks[i].at.After(from) && acks[i-1].at.Before(to) {
			longest = max(longest, acks[i].at.Sub(acks[i-1].at))
		}
	}
	return longest
}

// wait is the longest time that a record of a partition waited for its
// acknowledgement, of those that waited at some moment between these.
func (tr *traffic) wait(partition int32, from, to time.Time) (longest time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, a := range tr.acks[partition] {
		if a.at.After(from) && a.sent.Before(to) {
			longest = max(longest, a.at.Sub(a.sent))
		}
	}
	return longest
}
