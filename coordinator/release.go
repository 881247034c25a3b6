package coordinator

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// Release hands partitions of a topic over to where they should go, after this
// node has closed them: all that still is this node's, and has a next owner, is
// the next owner's from then on, also in this node's view. It may be called again
// after an error.
func (m *Meta) Release(ctx context.Context, topic talos.TopicID, partitions []int32) error {
	const op = "coordinator.Release"
	// The view is seldom behind: its revision is a condition, and tells if it is.
	now, fresh := m.view.Assignment(topic), false
	return m.race(func() (bool, error) {
		registered, ok := m.condition()
		if !ok {
			return false, &talos.Error{Kind: talos.NotOwner, Op: op, Subject: topic.String(), Detail: "this node is not registered"}
		}
		if fresh {
			// With a look at the registration, which may have ended without this node's
			// knowing: its condition would fail over and over.
			var err error
			if now, err = m.loadAssignment(ctx, op, topic, registered); err != nil {
				return false, err
			}
		}
		next, changed := now.clone(0), false
		for _, p := range partitions {
			to, moves := now.Next[p]
			if moves && now.Owner(p) == m.node.ID {
				next.Owners[p], changed = to.To, true
				delete(next.Next, p)
			}
		}
		if !changed {
			last := fresh
			fresh = true
			return last, nil
		}
		fresh = true
		put, err := next.put(topic)
		if err != nil {
			return false, err
		}
		applied, err := m.change(ctx, []Cond{registered, {Key: assignmentKey(topic), Revision: now.Revision}}, []Op{put})
		if err != nil {
			err = fmt.Errorf("%s %s: %w", op, topic, err)
		}
		return applied, err
	})
}
