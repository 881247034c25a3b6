package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/partition"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// RebuildPartition implements talosv1.AdminServer.
func (s *adminService) RebuildPartition(
	ctx context.Context, request *talosv1.RebuildPartitionRequest,
) (*talosv1.RebuildPartitionResponse, error) {
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	topic, err := s.topic(ctx, talos.TopicName(request.GetTopic()))
	if err != nil {
		return nil, err
	}
	id := talos.PartitionID{Topic: topic.ID, Number: request.GetPartition()}
	release, err := t.partitions.occupy(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()

	plan, err := t.rebuild(ctx, id, request.GetApply())
	if err != nil {
		return nil, err
	}
	return &talosv1.RebuildPartitionResponse{
		Before: toRecord(plan.Before), After: toRecord(plan.After), Segments: int32(len(plan.Chain)),
		Oldest: plan.Chain[0].String(), Newest: plan.Chain[len(plan.Chain)-1].String(), Left: int32(len(plan.Left)),
	}, nil
}

// rebuild plans, and puts the plan into practice if it is the one that want says.
func (t *term) rebuild(ctx context.Context, id talos.PartitionID, want *talosv1.PartitionRecord) (partition.Rebuild, error) {
	const op = "server.RebuildPartition"
	record := t.node.cfg.Meta.Record(id)
	before, err := record.Read(ctx)
	if err != nil {
		return partition.Rebuild{}, err
	}
	plan, err := partition.PlanRebuild(ctx, t.node.cfg.Store, id, before)
	if err != nil || want == nil {
		return plan, err
	}
	// The epoch may have been raised since, by attempts to open the partition.
	if got := fromRecord(want); got.Tail != plan.After.Tail || got.Start != plan.After.Start {
		return plan, invalidRequest(op, "the record that follows from the store is now: %v", plan.After)
	}
	if plan.After == plan.Before {
		return plan, nil
	}
	if err := record.Replace(ctx, plan.Before, plan.After); err != nil {
		return plan, err
	}
	if err := t.node.producerIDs.Drop(ctx); err != nil {
		return plan, err
	}
	t.node.cfg.Logger.Warn("partition rebuilt by an operator", "partition", id.String(),
		"before", plan.Before.String(), "after", plan.After.String(), "segments", len(plan.Chain))
	return plan, nil
}

// occupy keeps a partition that is not open from being opened, until release is
// called; then it may be opened at once.
func (p *partitions) occupy(ctx context.Context, id talos.PartitionID) (release func(), err error) {
	// Where it is open, or may be, that shows, and the slot is there.
	found := p.find(id)
	if found.opening != nil {
		select {
		case <-found.opening:
		case <-ctx.Done():
			return nil, found.err
		}
		found = p.find(id)
	}
	if found.err == nil {
		return nil, invalidRequest("server.RebuildPartition", "%v is open and serves: there is nothing to rebuild", id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[id]
	if p.closed || !ok {
		return nil, found.err
	}
	if s.log != nil || s.opening != nil {
		return nil, notServing(id, "it is being opened")
	}
	if kind := talos.KindOf(s.err); kind != talos.RestoredRecord && kind != talos.BrokenChain {
		return nil, s.err
	}
	s.opening = make(chan struct{})
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(s.opening)
		s.opening, s.failures, s.retryAt = nil, 0, time.Time{}
	}, nil
}

func toRecord(r talos.PartitionRecord) *talosv1.PartitionRecord {
	return &talosv1.PartitionRecord{
		Epoch: int32(r.Epoch), Tail: int64(r.Tail), StartNumber: int64(r.Start.Number), StartOffset: int64(r.Start.Offset),
	}
}

func fromRecord(r *talosv1.PartitionRecord) talos.PartitionRecord {
	return talos.PartitionRecord{
		Epoch: talos.Epoch(r.GetEpoch()), Tail: talos.SegmentNumber(r.GetTail()),
		Start: talos.LogStart{Number: talos.SegmentNumber(r.GetStartNumber()), Offset: talos.Offset(r.GetStartOffset())},
	}
}
