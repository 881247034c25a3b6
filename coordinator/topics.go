package coordinator

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// topicRef is the value of an ids/ key.
type topicRef struct {
	Name talos.TopicName `json:"name"`
}

func (r topicRef) validate() error { return r.Name.Validate() }

// CreateTopic records a topic; TopicExists if the name is taken. The same call
// again (same id) succeeds, so a caller may repeat it after MetaUnavailable. May is
// asked before: its errors are returned, and all topics that it finds in the view
// are all that there are when this one is made, but for some that were deleted
// since. It may be called several times; nil allows everything.
func (m *Meta) CreateTopic(ctx context.Context, topic talos.Topic, may func() error) error {
	const op = "coordinator.CreateTopic"
	if err := validateTopic(topic); err != nil {
		return err
	}
	keys := []string{topicKey(topic.Name), idKey(topic.ID), deletedKey(topic.ID)}
	value, err := encode(keys[0], topic)
	if err != nil {
		return err
	}
	ref, err := encode(keys[1], topicRef{Name: topic.Name})
	if err != nil {
		return err
	}
	return m.race(func() (bool, error) {
		seen := m.view.Revision()
		entries, err := m.kv.Load(ctx, keys...)
		if err != nil {
			return false, fmt.Errorf("%s %s: %w", op, topic.Name, err)
		}
		if entries[0].Revision != 0 {
			return true, sameTopic(op, entries[0], topic)
		}
		if entries[1].Revision != 0 || entries[2].Revision != 0 {
			return false, &talos.Error{
				Kind: talos.InvalidRequest, Op: op, Subject: string(topic.Name),
				Detail: fmt.Sprintf("the id %s was used before; every creation needs a new one", topic.ID),
			}
		}
		conds := []Cond{{Key: keys[0]}, {Key: keys[1]}, {Key: keys[2]}}
		if may != nil {
			if err := may(); err != nil {
				return false, err
			}
			conds = append(conds, sameTopics(seen))
		}
		applied, err := m.change(ctx, conds, []Op{Put(keys[0], value), Put(keys[1], ref)})
		if err == nil && !applied {
			err = m.awaitTopics(ctx, seen)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", op, topic.Name, err)
		}
		return applied, err
	})
}

// sameTopics holds while a view that has seen a transaction shows all topics, and
// all their partitions.
func sameTopics(seen int64) Cond { return Cond{Key: topicsPrefix, Revision: seen, Prefix: true} }

// awaitTopics waits until the view shows more than seen, after sameTopics or another
// condition on a topic did not hold. What they rest on was read behind seen, so there
// is more to come.
func (m *Meta) awaitTopics(ctx context.Context, seen int64) error {
	return m.AwaitRevision(ctx, seen+1)
}

// sameTopic returns nil if e holds this very creation of the topic.
func sameTopic(op string, e Entry, topic talos.Topic) error {
	stored, err := decodeTopic(e)
	if err != nil {
		return err
	}
	if stored != topic {
		return &talos.Error{Kind: talos.TopicExists, Op: op, Subject: string(topic.Name)}
	}
	return nil
}

// AlterTopic replaces a topic by what change makes of it, unless that is the same,
// and returns what it is then. Name and id stay. Change may be called several
// times, each time with the topic as it is, and what it returned last counts; its
// errors are returned. If it adds partitions, what it finds of topics in the view is
// all that there is then, as in CreateTopic. UnknownTopic if there is none. After any
// other error the outcome is unknown.
func (m *Meta) AlterTopic(ctx context.Context, name talos.TopicName, change func(talos.Topic) (talos.Topic, error)) (talos.Topic, error) {
	const op = "coordinator.AlterTopic"
	var next talos.Topic
	err := m.race(func() (bool, error) {
		seen := m.view.Revision()
		e, err := m.loadTopic(ctx, op, name)
		if err != nil {
			return false, err
		}
		now, err := decodeTopic(e)
		if err != nil {
			return false, err
		}
		if next, err = change(now); err != nil || next == now {
			return err == nil, err
		}
		next.Name, next.ID = now.Name, now.ID
		if err := validateTopic(next); err != nil {
			return false, err
		}
		value, err := encode(e.Key, next)
		if err != nil {
			return false, err
		}
		conds, more := []Cond{{Key: e.Key, Revision: e.Revision}}, next.Partitions > now.Partitions
		if more {
			conds = append(conds, sameTopics(seen))
		}
		applied, err := m.change(ctx, conds, []Op{Put(e.Key, value)})
		if err == nil && !applied && more {
			err = m.awaitTopics(ctx, seen)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", op, name, err)
		}
		return applied, err
	})
	if err != nil {
		return talos.Topic{}, err
	}
	return next, nil
}

// DeleteTopic ends a topic and the records of its partitions in one step, and
// returns what it was. From then on nobody can raise an epoch of it, and
// Deleted lists it until Forget.
func (m *Meta) DeleteTopic(ctx context.Context, name talos.TopicName) (talos.Topic, error) {
	const op = "coordinator.DeleteTopic"
	var topic talos.Topic
	err := m.race(func() (bool, error) {
		e, err := m.loadTopic(ctx, op, name)
		if err != nil {
			return false, err
		}
		if topic, err = decodeTopic(e); err != nil {
			return false, err
		}
		applied, err := m.change(ctx,
			[]Cond{{Key: e.Key, Revision: e.Revision}},
			[]Op{
				Delete(e.Key),
				Delete(idKey(topic.ID)),
				Delete(assignmentKey(topic.ID)),
				Delete(pinsKey(topic.ID)),
				DeletePrefix(topicRecordsPrefix(topic.ID)),
				Put(deletedKey(topic.ID), e.Value),
			})
		if err != nil {
			err = fmt.Errorf("%s %s: %w", op, name, err)
		}
		return applied, err
	})
	if err != nil {
		return talos.Topic{}, err
	}
	return topic, nil
}

// change is commit for a key of the view, which waits until that shows it, so that
// who asks this node next finds it.
func (m *Meta) change(ctx context.Context, conds []Cond, ops []Op) (bool, error) {
	revision, err := m.kv.Commit(ctx, conds, ops)
	if err != nil || revision == 0 {
		return false, err
	}
	m.awaitSeen(ctx, revision)
	return true, nil
}

// Topic returns the topic of this name, or UnknownTopic.
func (m *Meta) Topic(ctx context.Context, name talos.TopicName) (talos.Topic, error) {
	e, err := m.loadTopic(ctx, "coordinator.Topic", name)
	if err != nil {
		return talos.Topic{}, err
	}
	return decodeTopic(e)
}

// FindTopic returns the topic of this name, or UnknownTopic: as the view has it or,
// for one that another node may have just made, as it is; then the view has it, too.
func (m *Meta) FindTopic(ctx context.Context, name talos.TopicName) (talos.Topic, error) {
	if topic, ok := m.view.Topic(name); ok {
		return topic, nil
	}
	e, err := m.loadTopic(ctx, "coordinator.FindTopic", name)
	if err != nil {
		return talos.Topic{}, err
	}
	m.awaitSeen(ctx, e.Revision)
	return decodeTopic(e)
}

// AwaitTopic returns when the view shows all that there was of a topic, and of who
// owns its partitions, when it was called. That there is no such topic is no error.
func (m *Meta) AwaitTopic(ctx context.Context, id talos.TopicID) error {
	entries, err := m.kv.Load(ctx, idKey(id), assignmentKey(id))
	if err != nil {
		return fmt.Errorf("coordinator.AwaitTopic %s: %w", id, err)
	}
	newest := max(entries[0].Revision, entries[1].Revision)
	if entries[0].Revision != 0 {
		ref, err := decode(entries[0], topicRef.validate)
		if err != nil {
			return err
		}
		// It may have been altered since.
		topic, err := m.load(ctx, topicKey(ref.Name))
		if err != nil {
			return fmt.Errorf("coordinator.AwaitTopic %s: %w", id, err)
		}
		newest = max(newest, topic.Revision)
	}
	return m.AwaitRevision(ctx, newest)
}

// Topics returns all topics, sorted by name.
func (m *Meta) Topics(ctx context.Context) ([]talos.Topic, error) {
	return m.listTopics(ctx, "coordinator.Topics", topicsPrefix)
}

// Deleted returns the topics that were deleted and not yet forgotten: their
// data is still to be removed from the store.
func (m *Meta) Deleted(ctx context.Context) ([]talos.Topic, error) {
	return m.listTopics(ctx, "coordinator.Deleted", deletedPrefix)
}

// Forget ends the memory of a deleted topic, after its data was removed. It is
// no error if there is none.
func (m *Meta) Forget(ctx context.Context, id talos.TopicID) error {
	if _, err := m.commit(ctx, nil, []Op{Delete(deletedKey(id))}); err != nil {
		return fmt.Errorf("coordinator.Forget %s: %w", id, err)
	}
	return nil
}

func (m *Meta) loadTopic(ctx context.Context, op string, name talos.TopicName) (Entry, error) {
	e, err := m.load(ctx, topicKey(name))
	if err != nil {
		return Entry{}, fmt.Errorf("%s %s: %w", op, name, err)
	}
	if e.Revision == 0 {
		return Entry{}, &talos.Error{Kind: talos.UnknownTopic, Op: op, Subject: string(name)}
	}
	return e, nil
}

func (m *Meta) listTopics(ctx context.Context, op, prefix string) ([]talos.Topic, error) {
	entries, err := m.kv.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	topics := make([]talos.Topic, 0, len(entries))
	for _, e := range entries {
		topic, err := decodeTopic(e)
		if err != nil {
			return nil, err
		}
		topics = append(topics, topic)
	}
	return topics, nil
}
