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
	topic, stored Entry
	record        talos.PartitionRecord
}

// Raise adds one to the epoch and returns the record as it then is, if this
// node is registered, owns the partition, and the topic exists, as of the same
// transaction. Otherwise it returns NotOwner or UnknownTopic. After any other
// error the outcome is unknown: raise again.
func (r *Record) Raise(ctx context.Context) (talos.PartitionRecord, error) {
	const op = "coordinator.Raise"
	var next talos.PartitionRecord
	err := r.owned(ctx, op, func(v recordView, owns []Cond) (bool, error) {
		if v.record.Epoch == math.MaxInt32 {
			return false, &talos.Error{Kind: talos.Internal, Op: op, Subject: r.id.String(), Detail: "there is no epoch left"}
		}
		next = v.record
		next.Epoch++
		return r.put(ctx, op, next, append(owns,
			Cond{Key: v.topic.Key, Revision: v.topic.Revision},
			Cond{Key: v.stored.Key, Revision: v.stored.Revision})...)
	})
	if err != nil {
		return talos.PartitionRecord{}, err
	}
	return next, nil
}

// owned races for a change that only the owner may make: attempt gets the record,
// and the conditions under which this node owns the partition. The assignment is
// the view's at first, which is seldom behind; its condition tells if it is.
func (r *Record) owned(ctx context.Context, op string, attempt func(v recordView, owns []Cond) (bool, error)) error {
	m := r.meta
	assigned, fresh := m.view.Assignment(r.id.Topic), false
	return m.race(func() (bool, error) {
		v, err := r.view(ctx, op)
		if err != nil {
			return false, err
		}
		if v.topic.Revision == 0 {
			return false, r.unknownTopic(op)
		}
		registered, ok := m.condition()
		if !ok {
			return false, r.notOwner(op, v, "this node is not registered")
		}
		if assigned.Owner(r.id.Number) == m.node.ID {
			if applied, err := attempt(v, []Cond{registered, {Key: assignmentKey(r.id.Topic), Revision: assigned.Revision}}); applied || err != nil {
				return applied, err
			}
		} else if fresh {
			return false, r.notOwner(op, v, "the partition is assigned to another node")
		}
		fresh = true
		assigned, err = m.loadAssignment(ctx, op, r.id.Topic, registered)
		return false, err
	})
}

// loadAssignment reads an assignment, while this node is registered.
func (m *Meta) loadAssignment(ctx context.Context, op string, topic talos.TopicID, registered Cond) (Assignment, error) {
	entries, err := m.kv.Load(ctx, assignmentKey(topic), registered.Key)
	if err != nil {
		return Assignment{}, fmt.Errorf("%s %s: %w", op, topic, err)
	}
	if own, err := decodeMember(entries[1]); err != nil || !m.found(own.Run, entries[1].Revision) {
		return Assignment{}, &talos.Error{
			Kind: talos.NotOwner, Op: op, Subject: topic.String(), Detail: "the registration of this node is gone",
		}
	}
	return decodeAssignment(entries[0])
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
// NotOwner if it does not (also if it is gone). It needs no assignment: the
// epoch within old is the fence. After any other error the outcome is unknown.
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
	entries, err := r.meta.kv.Load(ctx, idKey(r.id.Topic), recordKey(r.id))
	if err != nil {
		return recordView{}, fmt.Errorf("%s %s: %w", op, r.id, err)
	}
	v := recordView{topic: entries[0], stored: entries[1], record: talos.NewPartitionRecord()}
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

// notOwner names the owner as the view has it, if it is known, and the newest epoch.
func (r *Record) notOwner(op string, v recordView, detail string) error {
	notOwner := &talos.Error{Kind: talos.NotOwner, Op: op, Subject: r.id.String(), Detail: detail}
	if owner := r.meta.view.Owner(r.id); owner.Member != nil {
		notOwner.Owner = &talos.Owner{Address: owner.Member.Address, Epoch: v.record.Epoch}
	}
	return notOwner
}

func (r *Record) unknownTopic(op string) error {
	return &talos.Error{Kind: talos.UnknownTopic, Op: op, Subject: r.id.String()}
}
