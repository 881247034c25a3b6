package sdk

import (
	"context"
	"slices"
	"strconv"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// PartitionOffsets describes one partition. With an Err, all but Partition is
// zero.
type PartitionOffsets struct {
	Partition int32
	// Range is what can be read.
	Range talos.OffsetRange
	// Segments of the chain, and their bytes in the store.
	Segments int
	Bytes    int64
	Epoch    talos.Epoch
	// The node that answered: its id, and its RPC address, host:port.
	Owner, OwnerAddress string
	// Err says why this partition could not be asked; a *talos.Error.
	Err error
}

// Offsets tells what can be read of a topic's partitions, in order. A partition
// that can't be asked now has an Err of its own.
func (c *Client) Offsets(ctx context.Context, name talos.TopicName) ([]PartitionOffsets, error) {
	d, err := c.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	all := make([]int32, d.Topic.Partitions)
	for i := range all {
		all[i] = int32(i)
	}
	return c.offsets(ctx, d.Topic, all)
}

// offsets asks for some partitions of a topic, and returns them in their order.
func (c *Client) offsets(ctx context.Context, topic talos.Topic, partitions []int32) ([]PartitionOffsets, error) {
	const op = "sdk.Offsets"
	found := make([]PartitionOffsets, 0, len(partitions))
	for some := range slices.Chunk(partitions, talos.MaxRequestPartitions) {
		request := &talosv1.ListOffsetsRequest{}
		for _, p := range some {
			request.Partitions = append(request.Partitions, &talosv1.ListOffsetsPartition{TopicId: topic.ID[:], Partition: p})
		}
		answer, err := c.log.ListOffsets(ctx, request)
		if err != nil {
			return nil, c.callError(ctx, op, string(topic.Name), err)
		}
		if len(answer.GetPartitions()) != len(some) {
			return nil, malformed(op, string(topic.Name))
		}
		for i, l := range answer.GetPartitions() {
			found = append(found, toOffsets(topic.Name, some[i], l))
		}
	}
	return found, nil
}

func toOffsets(topic talos.TopicName, partition int32, l *talosv1.ListedOffsets) PartitionOffsets {
	const op = "sdk.Offsets"
	o := PartitionOffsets{Partition: partition}
	switch {
	case l.GetError() != nil:
		o.Err = wireError(op, subject(topic, partition), l.GetError())
		return o
	case l.GetPartition() != partition || l.GetRange() == nil:
		o.Err = malformed(op, subject(topic, partition))
		return o
	}
	o.Range = toRange(l.GetRange())
	o.Segments, o.Bytes = int(l.GetSegments()), l.GetBytes()
	o.Epoch, o.Owner, o.OwnerAddress = talos.Epoch(l.GetEpoch()), l.GetOwner(), l.GetOwnerAddress()
	return o
}

func toRange(r *talosv1.OffsetRange) talos.OffsetRange {
	return talos.OffsetRange{Start: talos.Offset(r.GetStart()), End: talos.Offset(r.GetEnd())}
}

// subject names a partition in an error: "logs/3".
func subject(topic talos.TopicName, partition int32) string {
	return string(topic) + "/" + strconv.Itoa(int(partition))
}
