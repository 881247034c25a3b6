package coordinator

import (
	"context"
	"fmt"
	"math"

	"github.com/talos-log/talos/talos"
)

// Record is one partition's record, as one node sees and changes it.
type Record struct {
	meta *Meta
	id   talos.PartitionID
}

// Record returns the record of a partition. It asks nothing of the KV.
func (m *Meta) Record(id talos.PartitionID) *Record { return &Record{meta: m, id: id} }

// recordView is a record with what its changes depend on, as of one moment.
type recordView struct {
	active, topic, stored Entry
	record                talos.PartitionRecord
}

// Raise adds one to the epoch and returns the record as it then is, if this
// node holds the claim and the topic exists as of the same transaction.
// Otherwise it returns NotOwner or UnknownTopic. After any other error the
// outcome is unknown: raise again.
func (r *Record) Raise(ctx context.Context) (talos.PartitionRecord, error) {
	const op = "coordinator.Raise"
	var next talos.PartitionRecord
	err := r.meta.race(func() (bool, error) {
		v, err := r.view(ctx, op)
		if err != nil {
			return false, err
		}
		claim := r.meta.claimRevision()
		if claim == 0 || v.active.Revision != claim {
			return false, r.notOwner(op, v, "this node is not the active one")
		}
		if v.topic.Revision == 0 {
			return false, r.unknownTopic(op)
		}
		if v.record.Epoch == math.MaxInt32 {
			return false, &talos.Error{Kind: talos.Internal, Op: op, Subject: r.id.String(), Detail: "there is no epoch left"}
		}
		next = v.record
		next.Epoch++
		return r.put(ctx, op, next,
			Cond{Key: v.active.Key, Revision: claim},
			Cond{Key: v.topic.Key, Revision: v.topic.Revision},
			Cond{Key: v.stored.Key, Revision: v.stored.Revision})
	})
	if err != nil {
		return talos.PartitionRecord{}, err
	}
	return next, nil
}

// Read returns the record, linearizably; UnknownTopic if the topic is gone.
func (r *Record) Read(ctx context.Context) (talos.PartitionRecord, error) {
	const op = "coordinator.Read"
	v, err := r.view(ctx, op)
	if err != nil {
		return talos.PartitionRecord{}, err
	}
	if v.topic.Revision == 0 {
		return talos.PartitionRecord{}, r.unknownTopic(op)
	}
	return v.record, nil
}

// Swap replaces old by next if the record still equals old, and returns
// NotOwner if it does not (also if it is gone). It needs no claim: the epoch
// within old is the fence. After any other error the outcome is unknown.
func (r *Record) Swap(ctx context.Context, old, next talos.PartitionRecord) error {
	const op = "coordinator.Swap"
	return r.meta.race(func() (bool, error) {
		v, err := r.view(ctx, op)
		if err != nil {
			return false, err
		}
		if v.stored.Revision == 0 {
			return false, r.notOwner(op, v, "the record is gone")
		}
		if v.record != old {
			return false, r.notOwner(op, v, fmt.Sprintf("the record is now: %s", v.record))
		}
		return r.put(ctx, op, next, Cond{Key: v.stored.Key, Revision: v.stored.Revision})
	})
}

func (r *Record) view(ctx context.Context, op string) (recordView, error) {
	entries, err := r.meta.kv.Load(ctx, activeKey, idKey(r.id.Topic), recordKey(r.id))
	if err != nil {
		return recordView{}, fmt.Errorf("%s %s: %w", op, r.id, err)
	}
	v := recordView{active: entries[0], topic: entries[1], stored: entries[2], record: talos.NewPartitionRecord()}
	if v.stored.Revision != 0 {
		v.record, err = decodeRecord(v.stored)
	}
	return v, err
}

func (r *Record) put(ctx context.Context, op string, next talos.PartitionRecord, conds ...Cond) (bool, error) {
	if err := validateRecord(next); err != nil {
		return false, &talos.Error{
			Kind: talos.Internal, Op: op, Subject: r.id.String(),
			Detail: "this can't become the record", Cause: err,
		}
	}
	key := recordKey(r.id)
	value, err := encode(key, next)
	if err != nil {
		return false, err
	}
	applied, err := r.meta.commit(ctx, conds, []Op{Put(key, value)})
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", op, r.id, err)
	}
	return applied, nil
}

// notOwner names the active node, if there is one.
func (r *Record) notOwner(op string, v recordView, detail string) error {
	notOwner := &talos.Error{Kind: talos.NotOwner, Op: op, Subject: r.id.String(), Detail: detail}
	if v.active.Revision == 0 {
		return notOwner
	}
	node, err := decodeNode(v.active)
	if err != nil {
		notOwner.Cause = err
		return notOwner
	}
	notOwner.Owner = &talos.Owner{Address: node.Address, Epoch: v.record.Epoch}
	return notOwner
}

func (r *Record) unknownTopic(op string) error {
	return &talos.Error{Kind: talos.UnknownTopic, Op: op, Subject: r.id.String()}
}
