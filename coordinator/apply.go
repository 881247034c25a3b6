package coordinator

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

// planned is the change of one topic's assignment.
type planned struct {
	topic storedTopic
	from  int64 // the revision that it rests on
	put   Op
}

// apply writes steps that rest on a snapshot, and returns the last transaction; 0
// if there was none. What somebody else changed meanwhile is left to the next
// plan.
func (m *Meta) apply(ctx context.Context, s snapshot, steps []schedule.Step) (last int64, err error) {
	if len(steps) == 0 {
		return 0, nil
	}
	changes, err := m.changesOf(s, steps)
	if err != nil {
		return 0, err
	}
	for len(changes) > 0 {
		n, bytes := 0, 0
		for n < len(changes) && n < maxPlanTopics && (n == 0 || bytes+len(changes[n].put.Value) <= maxPlanBytes) {
			bytes += len(changes[n].put.Value)
			n++
		}
		revision, err := m.applySome(ctx, s, changes[:n])
		if err != nil {
			return last, err
		}
		last = max(last, revision)
		changes = changes[n:]
	}
	return last, nil
}

// applySome writes some changes in one step or, if one of them does not hold, each
// for itself.
func (m *Meta) applySome(ctx context.Context, s snapshot, changes []planned) (last int64, err error) {
	conds := []Cond{{Key: schedulerKey, Revision: s.scheduler.revision}}
	var ops []Op
	for _, c := range changes {
		conds = append(conds,
			Cond{Key: topicKey(c.topic.Name), Revision: c.topic.revision},
			Cond{Key: assignmentKey(c.topic.ID), Revision: c.from})
		ops = append(ops, c.put)
	}
	revision, err := m.kv.Commit(ctx, conds, ops)
	if err != nil || revision != 0 || len(changes) == 1 {
		return revision, err
	}
	for i := range changes {
		one, err := m.applySome(ctx, s, changes[i:i+1])
		if err != nil {
			return last, err
		}
		last = max(last, one)
	}
	return last, nil
}

// changesOf makes the topics' new assignments.
func (m *Meta) changesOf(s snapshot, steps []schedule.Step) ([]planned, error) {
	topics := make(map[talos.TopicID]storedTopic, len(s.topics))
	for _, t := range s.topics {
		topics[t.ID] = t
	}
	next := make(map[talos.TopicID]Assignment)
	var order []talos.TopicID
	for _, step := range steps {
		id := step.Partition
		topic, known := topics[id.Topic]
		if !known || id.Number < 0 || id.Number >= topic.Partitions {
			return nil, fmt.Errorf("coordinator.apply: a plan for %v, which does not exist", id)
		}
		a, begun := next[id.Topic]
		if !begun {
			a = s.assignments[id.Topic].clone(topic.Partitions)
			order = append(order, id.Topic)
		}
		switch step.Kind {
		case schedule.Move:
			a.Next[id.Number] = Handover{To: step.To, Since: s.now}
		case schedule.Cancel:
			delete(a.Next, id.Number)
		default: // placed, or forced
			a.Owners[id.Number] = step.To
			delete(a.Next, id.Number)
		}
		next[id.Topic] = a
		m.logger.Debug("partition assigned", "partition", id.String(), "topic", string(topic.Name), "step", step.Kind.String(),
			"from", step.From, "to", step.To, "reason", step.Reason)
	}
	m.logger.Info("partitions assigned", "steps", len(steps), "topics", len(order), "first", steps[0].Kind.String()+": "+steps[0].Reason)
	changes := make([]planned, 0, len(order))
	for _, id := range order {
		put, err := next[id].put(id)
		if err != nil {
			return nil, err
		}
		changes = append(changes, planned{topic: topics[id], from: s.assignments[id].Revision, put: put})
	}
	return changes, nil
}
