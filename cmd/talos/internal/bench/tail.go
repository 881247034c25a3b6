package bench

import (
	"context"
	"time"

	"github.com/talos-log/talos/sdk"
)

// poller is what a tail needs of the SDK's consumer.
type poller interface {
	Poll(ctx context.Context) ([]sdk.Message, error)
}

// tail is a consumer at the end of its partitions.
type tail struct {
	sdk   poller
	epoch time.Time // when the bench began
}

// run receives the records of one leg until ctx ends, and returns how long each
// took from when it was due until it was here.
func (t *tail) run(ctx context.Context, mark stamp, all *arrivals) *latencies {
	endToEnd := newLatencies()
	for {
		messages, err := t.sdk.Poll(ctx)
		now := time.Now()
		if ctx.Err() != nil {
			return endToEnd
		}
		if err != nil {
			all.fail(err)
			return endToEnd
		}
		n := int64(0)
		for i := range messages {
			// Others may write to the topic, and a record that failed in the last leg
			// may have been stored all the same.
			s, ok := readStamp(messages[i].Value)
			if ok && s.run == mark.run && s.leg == mark.leg {
				endToEnd.record(now.Sub(t.epoch) - s.due)
				n++
			}
		}
		all.add(n, now)
	}
}
