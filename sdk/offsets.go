package sdk

import (
	"context"
	"slices"
	"strconv"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// PartitionOffsets describes one partition. With an Err, all but Partition is
// zero.
type PartitionOffsets struct {
	Partition int32
	// Range is what can be read.
	Range talos.OffsetRange
	// AtTime is the offset of the first batch that a node took at the time that was
	// asked for, or later; Range.End if there is none. Zero without a time.
	AtTime talos.Offset
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
	return c.allOffsets(ctx, name, nil)
}

// OffsetsAt does what Offsets does, and tells where each partition was at a time,
// to the millisecond.
func (c *Client) OffsetsAt(ctx context.Context, name talos.TopicName, at time.Time) ([]PartitionOffsets, error) {
	return c.allOffsets(ctx, name, &at)
}

func (c *Client) allOffsets(ctx context.Context, name talos.TopicName, at *time.Time) ([]PartitionOffsets, error) {
	found, err := c.layout(ctx, name)
	if err != nil {
		return nil, err
	}
	all := make([]int32, found.topic.Partitions)
	for i := range all {
		all[i] = int32(i)
	}
	return c.offsets(ctx, found, all, at)
}

// offsets asks the owners of some partitions of a topic for their offsets, and
// returns them in the order of partitions. Those that have just moved are asked
// for again where they went. Its error is that of all.
func (c *Client) offsets(ctx context.Context, where layout, partitions []int32, at *time.Time) ([]PartitionOffsets, error) {
	answers := make(map[int32]PartitionOffsets, len(partitions))
	asked := partitions
	for hops := 0; ; hops++ {
		err := c.offsetsOnce(ctx, where, asked, at, answers)
		if err != nil && (hops == 0 || ctx.Err() != nil) {
			return nil, err
		}
		if err != nil {
			break // it is that of those which moved, and stands beside them
		}
		asked = movedOf(answers, partitions)
		if len(asked) == 0 || hops == maxHops {
			break
		}
		if hops > 0 && !pause(ctx, backoffAfter(hops-1)) {
			break
		}
		where = c.followOffsets(ctx, where, asked, answers)
	}
	found := make([]PartitionOffsets, 0, len(partitions))
	for _, p := range partitions {
		found = append(found, answers[p])
	}
	return found, nil
}

// movedOf are the partitions that another node owns than the one that was asked.
func movedOf(answers map[int32]PartitionOffsets, partitions []int32) []int32 {
	var moved []int32
	for _, p := range partitions {
		if talos.KindOf(answers[p].Err) == talos.NotOwner {
			moved = append(moved, p)
		}
	}
	return moved
}

// followOffsets is where, with the owners that answers name, or else metadata.
func (c *Client) followOffsets(ctx context.Context, where layout, moved []int32, answers map[int32]PartitionOffsets) layout {
	next := layout{topic: where.topic, owners: slices.Clone(where.owners)}
	var unnamed []int32
	for _, p := range moved {
		if to, ok := follow(answers[p].Err, c.epochs.of(where.topic.ID, p)); ok && to != where.owner(p) {
			next.owners[p] = to
		} else {
			unnamed = append(unnamed, p)
		}
	}
	if len(unnamed) == 0 {
		return next
	}
	found, err := c.layout(ctx, where.topic.Name)
	if err != nil || found.topic.ID != where.topic.ID {
		return next // they are asked again where they were
	}
	for _, p := range unnamed {
		next.owners[p] = found.owner(p)
	}
	return next
}

// offsetsOnce asks each owner once. Its error is that of all partitions.
func (c *Client) offsetsOnce(ctx context.Context, where layout, partitions []int32, at *time.Time, answers map[int32]PartitionOffsets) error {
	var failure error
	answered := false
	for address, own := range where.byOwner(partitions) {
		for some := range slices.Chunk(own, talos.MaxRequestPartitions) {
			listed, err := c.offsetsOf(ctx, where.topic, address, some, at)
			if err != nil {
				failure = err
			}
			answered = answered || err == nil
			for i, p := range some {
				if err != nil {
					answers[p] = PartitionOffsets{Partition: p, Err: err}
					continue
				}
				answers[p] = toOffsets(where.topic.Name, p, listed[i], at != nil)
				c.epochs.saw(where.topic.ID, p, max(answers[p].Epoch, ownerOf(answers[p].Err).Epoch))
			}
		}
	}
	if failure != nil && (!answered || ctx.Err() != nil) {
		return failure
	}
	return nil
}

// byOwner groups partitions by their owners' addresses.
func (l layout) byOwner(partitions []int32) map[string][]int32 {
	groups := make(map[string][]int32)
	for _, p := range partitions {
		groups[l.owner(p)] = append(groups[l.owner(p)], p)
	}
	return groups
}

// offsetsOf asks one node, or any if address is empty.
func (c *Client) offsetsOf(
	ctx context.Context, topic talos.Topic, address string, partitions []int32, at *time.Time,
) ([]*talosv1.ListedOffsets, error) {
	what := call{op: "sdk.Offsets", subject: string(topic.Name)}
	request := &talosv1.ListOffsetsRequest{}
	for _, p := range partitions {
		asked := &talosv1.ListOffsetsPartition{
			TopicId: topic.ID[:], Partition: p, Epoch: int32(c.epochs.of(topic.ID, p)),
		}
		if at != nil {
			millis := max(0, at.UnixMilli())
			asked.AtTimeMs = &millis
		}
		request.Partitions = append(request.Partitions, asked)
	}
	var answer *talosv1.ListOffsetsResponse
	list := func(ctx context.Context, p *peer) (err error) {
		answer, err = p.log.ListOffsets(ctx, request)
		return err
	}
	var err error
	if address == "" {
		err = c.anyNode(ctx, what, list)
	} else {
		_, err = c.oneNode(ctx, address, what, list)
		if unreachable(talos.KindOf(err)) {
			// Another node named it: the partition will move, or it comes back.
			err = &talos.Error{
				Kind: talos.NotServing, Op: what.op, Subject: what.subject,
				Detail: "its owner at " + address + " can't be reached", Cause: err,
			}
		}
	}
	if err == nil && len(answer.GetPartitions()) != len(partitions) {
		err = malformed(what.op, what.subject)
	}
	return answer.GetPartitions(), err
}

func toOffsets(topic talos.TopicName, partition int32, l *talosv1.ListedOffsets, timed bool) PartitionOffsets {
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
	if timed {
		if !l.GetHasOffsetAtTime() {
			return PartitionOffsets{Partition: partition, Err: &talos.Error{
				Kind: talos.Incompatible, Op: op, Subject: subject(topic, partition),
				Detail: "the node can't tell an offset for a time: update the node",
			}}
		}
		if o.AtTime = talos.Offset(l.GetOffsetAtTime()); o.AtTime < o.Range.Start || o.AtTime > o.Range.End {
			return PartitionOffsets{Partition: partition, Err: malformed(op, subject(topic, partition))}
		}
	}
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
