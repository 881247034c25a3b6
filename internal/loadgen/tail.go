package loadgen

import (
	"context"
	"time"
)

// Receiver is a consumer.
type Receiver interface {
	// Receive waits for records, and calls each with the value of every one, which
	// is valid during the call alone.
	Receive(ctx context.Context, each func(value []byte)) error
}

// tail is a consumer at the end of its partitions.
type tail struct {
	receiver Receiver
	epoch    time.Time // when the fleet began
}

// run receives the records of one leg until ctx ends, and returns how long each
// took from when it was due until it was here.
func (t *tail) run(ctx context.Context, mark stamp, all *arrivals) *Latencies {
	endToEnd := NewLatencies()
	for {
		n, now := int64(0), time.Time{}
		err := t.receiver.Receive(ctx, func(value []byte) {
			if now.IsZero() {
				now = time.Now()
			}
			// Others may write to the topic, and a record that failed in the last leg
			// may have been stored all the same.
			s, ok := readStamp(value)
			if ok && s.run == mark.run && s.leg == mark.leg {
				endToEnd.Record(now.Sub(t.epoch) - s.due)
				n++
			}
		})
		if ctx.Err() != nil {
			return endToEnd
		}
		if err != nil {
			all.fail(err)
			return endToEnd
		}
		all.add(n, now)
	}
}
