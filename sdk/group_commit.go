package sdk

import (
	"context"
	"sync"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// commitTime bounds one commit.
const commitTime = 10 * time.Second

// progress is how far a partition is.
type progress struct {
	topic  talos.TopicName
	offset talos.Offset // the next one to read
}

// groupOffsets is what the application was given, what of that is processed, and
// what is committed: one commit at a time, so that none overtakes another.
//
//	handed ──processed()──► ready ──commit──► the coordinator
type groupOffsets struct {
	cfg         groupConfig
	member      *membership
	coordinator *coordinatorLink
	// due tells run that something is ready.
	due chan struct{}

	committing sync.Mutex // held by the commit that is under way

	mu            sync.Mutex // guards the fields below
	handed, ready map[talos.PartitionID]progress
	// flying is what the commit under way has sent.
	flying map[talos.PartitionID]progress
	// refusals counts the commits that were refused for good, refusal is the newest.
	refusals int
	refusal  error
}

func newGroupOffsets(cfg groupConfig, member *membership, coordinator *coordinatorLink) *groupOffsets {
	return &groupOffsets{
		cfg: cfg, member: member, coordinator: coordinator, due: make(chan struct{}, 1),
		handed: make(map[talos.PartitionID]progress), ready: make(map[talos.PartitionID]progress),
	}
}

// handOut notes what the application is given.
func (o *groupOffsets) handOut(upTo map[talos.PartitionID]progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, next := range upTo {
		o.handed[p] = next
	}
}

// processed says that what was handed out is, unless the application says so itself.
func (o *groupOffsets) processed() {
	if !o.cfg.manual {
		o.finish(nil)
	}
}

// finish says that what is in some, or, if that is nil, all that was handed out, is
// processed.
func (o *groupOffsets) finish(some map[talos.PartitionID]progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if some == nil {
		some, o.handed = o.handed, make(map[talos.PartitionID]progress)
	}
	for p, next := range some {
		o.ready[p] = next
	}
	if len(some) > 0 && o.cfg.every == 0 {
		select {
		case o.due <- struct{}{}:
		default:
		}
	}
}

// forget drops what is known of partitions that are no longer the member's. What of
// them is on its way is not sent again: others may have gone further meanwhile.
func (o *groupOffsets) forget(gone placedPartitions) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range gone {
		delete(o.handed, p)
		delete(o.ready, p)
		delete(o.flying, p)
	}
}

// run commits what is ready, after each Poll or at the interval.
func (o *groupOffsets) run(ctx context.Context) {
	var ticks <-chan time.Time
	if o.cfg.every > 0 {
		ticker := time.NewTicker(o.cfg.every)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-o.due:
		case <-ticks:
		case <-ctx.Done():
			return
		}
		if err := o.flush(ctx); err != nil && ctx.Err() == nil {
			o.coordinator.client.cfg.logger.Warn("offsets could not be committed", "group", o.coordinator.group, "error", err)
		}
	}
}

// settle calls f, which makes something ready, and commits that. Its error may be of
// a commit that began beside it: then the member is out.
func (o *groupOffsets) settle(ctx context.Context, f func()) error {
	o.mu.Lock()
	before := o.refusals
	o.mu.Unlock()
	f()
	if err := o.flush(ctx); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refusals != before {
		return o.refusal
	}
	return nil
}

// flush commits all that is ready. It tries again, until ctx ends, what passes by
// itself.
func (o *groupOffsets) flush(ctx context.Context) error {
	for failures := 0; ; failures++ {
		err := o.commit(ctx)
		if err == nil || !talos.Retryable(err) && !unreachable(talos.KindOf(err)) {
			return err
		}
		if !pause(ctx, backoffAfter(failures)) {
			return endError(ctx, "sdk.Commit", o.coordinator.group, err)
		}
	}
}

// commit sends what is ready, once.
func (o *groupOffsets) commit(ctx context.Context) error {
	o.committing.Lock()
	defer o.committing.Unlock()
	// Who commits comes first: a member that joins anew meanwhile has forgotten what
	// was ready, and must not commit it as its own.
	request := &talosv1.CommitOffsetsRequest{Group: o.coordinator.group}
	request.MemberId, request.MemberEpoch, request.Sequence = o.member.identity()
	request.Offsets = o.takeOff()
	if len(request.GetOffsets()) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	err := o.coordinator.call(ctx, "sdk.Commit", func(ctx context.Context, p *peer) error {
		_, err := p.groups.CommitOffsets(ctx, request)
		return err
	})
	switch kind := talos.KindOf(err); {
	case err == nil:
		return nil
	case talos.Retryable(err) || unreachable(kind) || ctx.Err() != nil:
		o.putBack() // whether it was committed or not: it may be committed again
		return err
	case kind == talos.UnknownMember, kind == talos.FencedMember:
		o.member.lose(request.GetMemberId(), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusals++
	o.refusal = err
	return err
}

// takeOff is what is ready, which flies from then on.
func (o *groupOffsets) takeOff() []*talosv1.CommittedOffset {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flying, o.ready = o.ready, make(map[talos.PartitionID]progress)
	var all []*talosv1.CommittedOffset
	for p, next := range o.flying {
		all = append(all, &talosv1.CommittedOffset{
			TopicId: p.Topic[:], Topic: string(next.topic), Partition: p.Number, Offset: int64(next.offset),
			Epoch: int32(o.coordinator.client.epochs.of(p.Topic, p.Number)),
		})
	}
	return all
}

// putBack makes what flew and was not committed ready again, where nothing newer is.
func (o *groupOffsets) putBack() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, next := range o.flying {
		if _, newer := o.ready[p]; !newer {
			o.ready[p] = next
		}
	}
}

// fetch tells what is committed of partitions that the member is to have.
func (o *groupOffsets) fetch(ctx context.Context, some placedPartitions) (map[talos.PartitionID]talos.Offset, error) {
	id, epoch, _ := o.member.identity()
	request := &talosv1.FetchOffsetsRequest{Group: o.coordinator.group, MemberId: id, MemberEpoch: epoch, Partitions: some.wire()}
	var answer *talosv1.FetchOffsetsResponse
	err := o.coordinator.call(ctx, "sdk.Group", func(ctx context.Context, p *peer) (err error) {
		answer, err = p.groups.FetchOffsets(ctx, request)
		return err
	})
	switch talos.KindOf(err) {
	case talos.UnknownMember, talos.FencedMember:
		o.member.lose(id, err)
	}
	return committedOffsets(answer), err
}

// placed is how far the application is when it has processed messages.
func (g *Group) placed(messages []Message) map[talos.PartitionID]progress {
	upTo := make(map[talos.PartitionID]progress)
	for _, m := range messages {
		if p, ok := g.place(m); ok {
			upTo[p] = progress{m.Topic, m.Offset + 1}
		}
	}
	return upTo
}

// Commit says that messages are processed, and all before them in their partitions;
// without messages, all that Poll has returned. It returns when that is committed.
// FencedMember or UnknownMember: the member is out of the group, and a partition of
// them may be read by another one.
func (g *Group) Commit(ctx context.Context, messages ...Message) error {
	if len(messages) == 0 {
		return g.offsets.settle(ctx, func() { g.offsets.finish(nil) })
	}
	for _, m := range messages {
		if _, ok := g.place(m); !ok {
			return &talos.Error{
				Kind: talos.FencedMember, Op: "sdk.Commit", Subject: subject(m.Topic, m.Partition),
				Detail: "the member does not read this partition, or no longer",
			}
		}
	}
	upTo := g.placed(messages)
	return g.offsets.settle(ctx, func() { g.offsets.finish(upTo) })
}
