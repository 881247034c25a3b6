package sdk

import (
	"context"
	"errors"
	"iter"
)

// Records yields records as Poll returns them, one at a time, for as long as ctx
// and the consumer last:
//
//	for record, err := range consumer.Records(ctx) {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// An error comes with an empty Message. After that of ctx, after Closed, and after
// one that Poll would return for ever, the loop ends; after a *BatchError or a
// *PartitionError it goes on, if the body does: with the other partitions, and
// with this one where the body sought.
//
// A loop that is left keeps its place: what was not yielded comes next, from
// Records or Poll.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			messages, err := c.Poll(ctx)
			if err != nil {
				if !yield(Message{}, err) || !aboutPartition(err) {
					return
				}
				continue
			}
			c.pending = messages
			for len(c.pending) > 0 {
				if err := c.over(ctx); err != nil {
					yield(Message{}, err)
					return
				}
				next := c.pending[0]
				c.pending = c.pending[1:]
				if !yield(next, nil) {
					return
				}
			}
		}
	}
}

// over tells why nothing more is yielded; nil if that is not so.
func (c *Consumer) over(ctx context.Context) error {
	switch {
	case c.ctx.Err() != nil:
		return closedError("sdk.Records")
	case ctx.Err() != nil:
		return endError(ctx, "sdk.Records", string(c.topic.Name), nil)
	default:
		return nil
	}
}

func aboutPartition(err error) bool {
	var partition *PartitionError
	var batch *BatchError
	return errors.As(err, &partition) || errors.As(err, &batch)
}

// dropPending forgets what Records has taken of a partition and not yielded.
func (c *Consumer) dropPending(partition int32) {
	var rest []Message
	for _, m := range c.pending {
		if m.Partition != partition {
			rest = append(rest, m)
		}
	}
	c.pending = rest
}
