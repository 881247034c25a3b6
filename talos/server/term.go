package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// term is the time from one registration to its loss or to the node's end, and all
// that belongs to it. Another term begins with nothing of it.
type term struct {
	node       *Node
	view       *coordinator.View
	partitions *partitions
	groups     *coordinators
	// turn holds one token while somebody changes topics.
	turn chan struct{}
	// removeNow has room for one signal.
	removeNow chan struct{}

	// ctx ends when the term does.
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// removeInterval is how often the scheduler's node looks for data of deleted topics
// though nothing tells of any: another node may have left some.
const removeInterval = 30 * time.Second

// newTerm starts what a term needs.
func newTerm(ctx context.Context, node *Node) *term {
	t := &term{node: node, view: node.cfg.Meta.View(), turn: make(chan struct{}, 1), removeNow: make(chan struct{}, 1)}
	t.ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.partitions = newPartitions(t.ctx, t.open, node)
	t.groups = newCoordinators(t)
	f := t.view.Follow()
	t.workers.Go(func() {
		defer f.Close()
		t.follow(f)
	})
	t.workers.Go(func() { t.repeat("remove deleted topics", t.removeNow, t.removeDeleted) })
	t.workers.Go(func() { node.cfg.Meta.Schedule(t.ctx) })
	t.workers.Go(func() { t.reportLoads() })
	return t
}

// end stops everything of the term. The partitions are closed in good order until
// ctx ends; one that has ended already drops them.
func (t *term) end(ctx context.Context) error {
	t.stop()
	t.workers.Wait()
	t.groups.close()
	// The last turn: a change under way ends first, no other begins.
	t.turn <- struct{}{}
	return t.partitions.close(ctx)
}

// follow makes the partitions what the view says, whenever that changes.
func (t *term) follow(f *coordinator.Follower) {
	planned := false // by this node, when last looked
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-f.Wake():
		}
		if plans := t.view.Scheduler() == t.node.cfg.NodeID; plans != planned {
			planned = plans
			signal(t.removeNow)
		}
		// Nothing in it fails, and of a panic guard itself tells.
		_ = t.node.guard("follow the cluster's view", func() error {
			t.apply(f.Take())
			return nil
		})
	}
}

// apply follows some changes. It waits for nothing: one partition in trouble must not
// hold up the moves of the others.
func (t *term) apply(changes coordinator.Changes) {
	if changes.All || len(changes.Topics) > 0 {
		t.groups.topicsChanged()
	}
	if changes.All {
		signal(t.removeNow)
		t.partitions.reconcileAll()
		return
	}
	for id := range changes.Topics {
		if _, exists := t.view.TopicOf(id); !exists {
			signal(t.removeNow)
		}
		t.partitions.reconcile(id)
	}
}

func (t *term) open(ctx context.Context, topic talos.Topic, number int32) (*partition.Log, error) {
	cfg := t.node.cfg
	id := talos.PartitionID{Topic: topic.ID, Number: number}
	var log *partition.Log
	err := t.node.guard("partition.Open", func() (err error) {
		log, err = partition.Open(ctx, partition.Config{
			Cluster: cfg.Meta.Cluster().ID, Topic: topic, Partition: number,
			Store: cfg.Store, Records: cfg.Meta.Record(id), Logger: cfg.Logger,
			Tails: t.node.tails, History: t.node.history, Removed: t.node.metrics.removed,
			Metrics: t.node.logMetrics,
		})
		return err
	})
	return log, err
}

// take waits for the turn; the caller gives it back.
func (t *term) take(ctx context.Context) (giveBack func(), err error) {
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change of the topics: %w", ctx.Err())
	}
}

// repeat runs f at each signal of now, at least every removeInterval, and sooner
// again after a failure.
func (t *term) repeat(work string, now <-chan struct{}, f func(context.Context) error) {
	timer := time.NewTimer(removeInterval)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-t.ctx.Done():
			return
		case <-now:
		case <-timer.C:
		}
		err := t.node.guard(work, func() error { return f(t.ctx) })
		t.node.health.observe(err)
		switch {
		case t.ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			timer.Reset(removeInterval)
		default:
			t.node.cfg.Logger.Warn("background work failed, trying again", "work", work, "error", err)
			timer.Reset(backoff(failures, minRetry, maxRetry))
			failures++
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
