package server

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/talos"
)

// upkeepInterval is how often a coordinator looks for offsets of deleted topics.
const upkeepInterval = 15 * time.Second

// follow tells the groups of topics that change, and looks after them, until the
// coordinator ends.
func (cs *coordinators) follow(c *groupCoordinator) {
	upkeep := time.NewTicker(upkeepInterval)
	defer upkeep.Stop()
	for {
		var err error
		select {
		case <-c.changed:
			err = c.journal.Do(cs.ctx, (*groups.State).TopicsChanged, nil)
		case <-upkeep.C:
			err = cs.term.node.guard("look after consumer groups", func() error { return cs.lookAfter(c) })
		case <-c.journal.Done():
			return
		case <-cs.ctx.Done():
			return
		}
		if err != nil && cs.ctx.Err() == nil {
			cs.term.node.cfg.Logger.Debug("consumer groups are looked after later", "coordinator", c.id.String(), "error", err)
		}
	}
}

func (cs *coordinators) lookAfter(c *groupCoordinator) error {
	var all []groups.Committed
	if err := c.journal.Do(cs.ctx, func(*groups.State) {}, func(s *groups.State) { all = s.Committed() }); err != nil {
		return err
	}
	gone := make(map[talos.TopicID]bool)
	for _, o := range all {
		if _, known := gone[o.Partition.Topic]; known {
			continue
		}
		is, err := cs.isGone(cs.ctx, o)
		if err != nil {
			return err
		}
		gone[o.Partition.Topic] = is
	}
	for id, is := range gone {
		if !is {
			continue
		}
		if err := c.journal.Do(cs.ctx, func(s *groups.State) { s.ForgetTopic(id) }, nil); err != nil {
			return err
		}
	}
	return nil
}

// isGone tells whether a topic that offsets are committed of exists no longer. The
// view may know it not yet: etcd has the last word.
func (cs *coordinators) isGone(ctx context.Context, o groups.Committed) (bool, error) {
	if _, ok := cs.term.view.TopicOf(o.Partition.Topic); ok {
		return false, nil
	}
	topic, err := cs.term.node.cfg.Meta.Topic(ctx, o.Topic)
	if errors.Is(err, talos.UnknownTopic) {
		return true, nil
	}
	return err == nil && topic.ID != o.Partition.Topic, err
}
