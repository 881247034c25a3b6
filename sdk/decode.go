package sdk

import (
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// inflateFactor is how often a batch's own size its records count at most, by the
// rules of batch.Records, if it was not compressed.
const inflateFactor = 16

// messageCost is what a message counts of a Poll beyond its record, in bytes.
const messageCost = 64

// decode takes fetched batches apart, up to about pollBytes.
func (c *Consumer) decode() ([]Message, error) {
	var messages []Message
	room := c.cfg.pollBytes
	for i := range c.sources {
		s := c.sources[(c.turn+i)%len(c.sources)]
		for len(s.fetched) > 0 && room > 0 {
			before := len(messages)
			var err error
			if messages, err = c.decodeOne(s, messages); err != nil {
				if len(messages) > 0 {
					return messages, nil // the next Poll comes to it again
				}
				if err := c.skip(s, err); err != nil {
					return nil, err
				}
				continue
			}
			for j := range messages[before:] {
				room -= messages[before+j].Size() + messageCost
			}
		}
	}
	return messages, nil
}

// decodeOne appends the messages of the first fetched batch, all or none.
func (c *Consumer) decodeOne(s *source, messages []Message) ([]Message, error) {
	before := len(messages)
	h, err := batch.Parse(s.fetched)
	if err == nil && h.Next() <= s.position {
		err = fmt.Errorf("the batch ends at offset %d", h.Next())
	}
	if err != nil {
		return messages, &PartitionError{Partition: s.partition, Err: c.undecodable(s, s.position, err)}
	}
	limit := max(talos.MaxInflatedBytes, inflateFactor*c.limits.BatchBytes())
	for r, err := range batch.Records(s.fetched[:h.Size:h.Size], limit) {
		if err != nil {
			err = c.undecodable(s, h.Base, err)
			return messages[:before], &BatchError{Partition: s.partition, Base: h.Base, Next: h.Next(), Err: err}
		}
		if r.Offset >= s.position {
			messages = append(messages, Message{
				Topic: c.topic.Name, Partition: s.partition, Offset: r.Offset, Record: r.Record,
			})
		}
	}
	s.position, s.fetched, s.failures = h.Next(), s.fetched[h.Size:], 0
	return messages, nil
}

// skip decides about a batch that can't be taken apart: it returns the error, or
// nil if Poll goes on. Either way what was fetched goes, so that the batch is
// fetched again, in case it was damaged on its way.
func (c *Consumer) skip(s *source, err error) error {
	rest := s.fetched
	s.fetched = nil
	var bad *BatchError
	if !c.cfg.skipDamaged || !errors.As(err, &bad) {
		s.later(time.Now())
		return err
	}
	if s.damaged != bad.Base {
		s.damaged = bad.Base
		return nil
	}
	c.client.cfg.logger.Warn("damaged batch skipped", "topic", c.topic.Name, "partition", s.partition,
		"base", bad.Base, "next", bad.Next, "error", bad.Err)
	c.skippedBatches.Add(1)
	c.skippedOffsets.Add(int64(bad.Next - max(bad.Base, s.position)))
	h, parseErr := batch.Parse(rest)
	if parseErr == nil {
		s.fetched = rest[h.Size:]
	}
	s.position, s.damaged = bad.Next, -1
	if c.cfg.skipped != nil {
		c.cfg.skipped(bad)
	}
	return nil
}

// undecodable says where the batch is, and why it can't be decoded.
func (c *Consumer) undecodable(s *source, at talos.Offset, why error) error {
	return &talos.Error{
		Kind: talos.UndecodableBatch, Op: "sdk.Poll", Subject: subject(c.topic.Name, s.partition),
		Detail: fmt.Sprintf("at offset %d", at), Cause: cause(why),
	}
}

// cause is why a batch can't be decoded, without repeating that it can't.
func cause(why error) error {
	if e := (*talos.Error)(nil); errors.As(why, &e) && e.Kind == talos.UndecodableBatch {
		return e.Cause
	}
	return why
}
