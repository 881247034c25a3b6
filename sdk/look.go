package sdk

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/talos"
)

// look asks where the partitions are, at once or, the more often with nothing
// fetched in between, the later; one look at a time.
func (c *Consumer) look(now time.Time) {
	c.nextLook = now.Add(c.client.cfg.metadataInterval)
	if c.looking {
		return
	}
	c.looking = true
	var delay time.Duration
	if c.looks > 0 {
		delay = backoffAfter(c.looks - 1)
	}
	c.looks++
	c.background(func() {
		if !pause(c.ctx, delay) {
			return
		}
		ctx, cancel := context.WithTimeout(c.ctx, lookTimeout)
		defer cancel()
		found, err := c.client.layout(ctx, c.topic.Name)
		c.arrive(func() error { return c.found(found, err) })
	})
}

// found takes what a look found. It returns an error if a partition is gone.
func (c *Consumer) found(found layout, err error) error {
	c.looking = false
	if err == nil && found.topic.ID != c.topic.ID {
		err = recreated("sdk.Poll", c.topic.Name)
	}
	if err != nil {
		gone := talos.KindOf(err) == talos.UnknownTopic
		for _, s := range c.sources {
			if s.missing != nil && gone {
				s.missing = nil // the next Poll asks again
				return &PartitionError{Partition: s.partition, Err: err}
			}
		}
		if !gone {
			c.lastErr = err
		}
		return nil
	}
	var first error
	for _, s := range c.sources {
		if s.missing != nil && s.partition >= found.topic.Partitions && first == nil {
			first = &PartitionError{Partition: s.partition, Err: s.missing}
		}
		s.missing = nil
		if to := found.owner(s.partition); to != "" && !s.settled {
			s.address = to
		}
	}
	c.add(found)
	return first
}

// add reads partitions that the topic did not have before.
func (c *Consumer) add(found layout) {
	if c.cfg.partitions != nil {
		return
	}
	for p := int32(len(c.sources)); p < found.topic.Partitions; p++ {
		c.client.cfg.logger.Info("partition added", "topic", c.topic.Name, "partition", p)
		c.sources = append(c.sources, &source{partition: p, address: found.owner(p), added: true, damaged: -1})
	}
}

// outOfRange decides about a position at which there is no record: it returns the
// error, or nil if Poll goes on.
func (c *Consumer) outOfRange(s *source, err error) error {
	var e *talos.Error
	if !errors.As(err, &e) || e.Range == nil {
		return err
	}
	to, ok := c.cfg.outOfRange.in(s.position, *e.Range)
	if s.added {
		// Retention was faster than we were: nothing of it was ever promised.
		to, ok = e.Range.Start, true
	}
	if !ok || to == s.position {
		return err
	}
	c.client.cfg.logger.Warn("offset out of range, going on elsewhere", "topic", c.topic.Name, "partition", s.partition,
		"offset", s.position, "to", to)
	c.resets.Add(1)
	s.position, s.damaged = to, -1
	return nil
}
