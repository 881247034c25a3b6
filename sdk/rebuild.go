package sdk

import (
	"context"
	"fmt"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// Rebuild is what a partition's record must be, going by its segments.
type Rebuild struct {
	// Before is the record in etcd; After is equal if nothing contradicts it.
	Before, After talos.PartitionRecord
	// Segments counts those that After makes part of the log; Oldest and Newest are
	// names of them. Left counts those in the folder that it does not.
	Segments       int
	Oldest, Newest string
	Left           int
}

// PlanRebuild says what a rebuild of a partition would do; nothing is changed.
// InvalidRequest if the partition serves, BrokenChain if records would be lost.
func (c *Client) PlanRebuild(ctx context.Context, topic talos.TopicName, partition int32) (Rebuild, error) {
	return c.rebuild(ctx, "sdk.PlanRebuild", &talosv1.RebuildPartitionRequest{Topic: string(topic), Partition: partition})
}

// ApplyRebuild puts a plan's record in place; InvalidRequest if another
// tail or start follows by now. It is for an operator to decide.
func (c *Client) ApplyRebuild(ctx context.Context, topic talos.TopicName, partition int32, plan Rebuild) (Rebuild, error) {
	return c.rebuild(ctx, "sdk.ApplyRebuild", &talosv1.RebuildPartitionRequest{
		Topic: string(topic), Partition: partition,
		Apply: &talosv1.PartitionRecord{
			Epoch: int32(plan.After.Epoch), Tail: int64(plan.After.Tail),
			StartNumber: int64(plan.After.Start.Number), StartOffset: int64(plan.After.Start.Offset),
		},
	})
}

func (c *Client) rebuild(ctx context.Context, op string, request *talosv1.RebuildPartitionRequest) (Rebuild, error) {
	subject := fmt.Sprintf("%s/%d", request.GetTopic(), request.GetPartition())
	answer, err := ask(ctx, c, call{op: op, subject: subject, changes: request.GetApply() != nil},
		func(ctx context.Context, p *peer) (*talosv1.RebuildPartitionResponse, error) {
			return p.admin.RebuildPartition(ctx, request)
		})
	if err != nil {
		return Rebuild{}, err
	}
	return Rebuild{
		Before: toRecord(answer.GetBefore()), After: toRecord(answer.GetAfter()), Segments: int(answer.GetSegments()),
		Oldest: answer.GetOldest(), Newest: answer.GetNewest(), Left: int(answer.GetLeft()),
	}, nil
}

func toRecord(r *talosv1.PartitionRecord) talos.PartitionRecord {
	return talos.PartitionRecord{
		Epoch: talos.Epoch(r.GetEpoch()), Tail: talos.SegmentNumber(r.GetTail()),
		Start: talos.LogStart{Number: talos.SegmentNumber(r.GetStartNumber()), Offset: talos.Offset(r.GetStartOffset())},
	}
}
