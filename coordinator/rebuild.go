package coordinator

import (
	"context"
	"fmt"
	"math"

	"github.com/talos-log/talos/talos"
)

// skippedBlocks is how many blocks of producer ids are passed over by Replace.
// Blocks keep up with the clock's seconds, or are ahead of it by as many as were
// reserved faster: by nodes that were started over and over, say.
const skippedBlocks = 3600

// Replace puts next in the place of old whatever it says: an operator's decision,
// for a record that is wrong since etcd is an old copy. Then what it says of
// producer ids is old, too: some are passed over in the same transaction, for an
// id that is given out twice makes new batches look like duplicates. Drop the ids
// that were reserved before (ProducerIDs.Drop).
//
// This node must be the owner, as for Raise, and the topic exist: NotOwner or
// UnknownTopic otherwise, NotOwner also if the record is not old anymore. After
// any other error the outcome is unknown.
func (r *Record) Replace(ctx context.Context, old, next talos.PartitionRecord) error {
	const op = "coordinator.Replace"
	if err := validateRecord(next); err != nil {
		return &talos.Error{Kind: talos.Internal, Op: op, Subject: r.id.String(), Detail: "this can't become the record", Cause: err}
	}
	return r.owned(ctx, op, func(v recordView, owns []Cond) (bool, error) {
		if v.record != old {
			return false, r.notOwner(op, v, fmt.Sprintf("the record is now: %s", v.record))
		}
		skip, unchanged, err := r.meta.skipBlocks(ctx)
		if err != nil {
			return false, err
		}
		value, err := encode(v.stored.Key, next)
		if err != nil {
			return false, err
		}
		return r.meta.commit(ctx, append(owns,
			Cond{Key: v.topic.Key, Revision: v.topic.Revision},
			Cond{Key: v.stored.Key, Revision: v.stored.Revision},
			unchanged,
		), []Op{Put(v.stored.Key, value), skip})
	})
}

// skipBlocks returns the change that passes over producer ids, and what it rests
// on.
func (m *Meta) skipBlocks(ctx context.Context) (Op, Cond, error) {
	e, err := m.load(ctx, producerBlockKey)
	if err != nil {
		return Op{}, Cond{}, err
	}
	var block producerBlock
	if e.Revision != 0 {
		if block, err = decodeProducerBlock(e); err != nil {
			return Op{}, Cond{}, err
		}
	}
	block.Last = min(max(block.Last, m.now().Unix())+skippedBlocks, math.MaxUint32)
	value, err := encode(producerBlockKey, block)
	return Put(producerBlockKey, value), Cond{Key: producerBlockKey, Revision: e.Revision}, err
}

// Drop forgets the ids that were reserved and not given out.
func (p *ProducerIDs) Drop(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("coordinator.ProducerIDs: %w", ctx.Err())
	}
	p.left = 0
	<-p.turn
	return nil
}
