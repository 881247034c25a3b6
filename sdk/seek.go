package sdk

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// Seek makes the next Poll go on at an offset of the partition. UnknownPartition
// if the partition is not read, InvalidRequest if the offset is negative.
func (c *Consumer) Seek(partition int32, offset talos.Offset) error {
	s := c.source(partition)
	switch {
	case s == nil:
		return unknownPartition("sdk.Seek", c.topic.Name, partition, c.topic.Partitions)
	case offset < 0:
		return &talos.Error{
			Kind: talos.InvalidRequest, Op: "sdk.Seek", Subject: subject(c.topic.Name, partition),
			Detail: fmt.Sprintf("offset %d is negative", offset),
		}
	}
	s.position, s.fetched, s.notBefore, s.failures = offset, nil, time.Time{}, 0
	s.damaged, s.added = -1, false
	s.seeks++
	c.dropPending(partition)
	if k := c.links[s.address]; k != nil && k.cancel != nil {
		k.cancel() // it may wait at the old position
	}
	return nil
}

// SeekTime makes the next Poll go on, in all partitions that are read, at the first
// batch that a node took at a time or later, to the millisecond; at the end of a
// partition that has none. It waits for the nodes to serve. If it returns an error,
// nothing has changed.
func (c *Consumer) SeekTime(ctx context.Context, at time.Time) error {
	const op = "sdk.SeekTime"
	var offsets []PartitionOffsets
	err := patiently(ctx, op, string(c.topic.Name), func() error {
		found, err := c.client.layout(ctx, c.topic.Name)
		if err != nil {
			return err
		}
		if found.topic.ID != c.topic.ID {
			return recreated(op, c.topic.Name)
		}
		if offsets, err = c.client.offsets(ctx, found, c.Partitions(), &at); err != nil {
			return err
		}
		for _, o := range offsets {
			if o.Err != nil {
				return o.Err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range offsets {
		if err := c.Seek(o.Partition, o.AtTime); err != nil {
			return err
		}
	}
	return nil
}

// recreated is for a topic whose name belongs to another one.
func recreated(op string, name talos.TopicName) error {
	return &talos.Error{
		Kind: talos.UnknownTopic, Op: op, Subject: string(name), Detail: "it was deleted, and the name belongs to another topic",
	}
}
