package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// term is the time from one claim to its loss or to the node's end, and all that
// belongs to it. Another term begins with nothing of it.
type term struct {
	node       *Node
	topics     *directory
	partitions *partitions
	// turn holds one token while somebody changes topics or loads the directory,
	// so that what the coordinator says and what the directory holds change
	// together.
	turn chan struct{}
	// refreshNow and removeNow have room for one signal each.
	refreshNow, removeNow chan struct{}

	// ctx ends when the term does.
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// reloadInterval is how often the directory is loaded anew though nothing asks
// for it: a node that has lost its claim without knowing may have changed topics.
const reloadInterval = 30 * time.Second

// newTerm loads the topics and starts what a term needs.
func newTerm(ctx context.Context, node *Node) (*term, error) {
	t := &term{
		node: node, topics: newDirectory(), turn: make(chan struct{}, 1),
		refreshNow: make(chan struct{}, 1), removeNow: make(chan struct{}, 1),
	}
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	t.ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.partitions = newPartitions(t.ctx, t.topics, t.open, node)
	t.workers.Go(func() { t.repeat("load topics", t.refreshNow, t.refresh) })
	t.workers.Go(func() { t.repeat("remove deleted topics", t.removeNow, t.removeDeleted) })
	signal(t.removeNow)
	return t, nil
}

// end stops everything of the term. The partitions are handed over in good
// order until ctx ends; one that has ended already drops them.
func (t *term) end(ctx context.Context) error {
	t.stop()
	t.workers.Wait()
	// The last turn: a change under way ends first, no other begins.
	t.turn <- struct{}{}
	return t.partitions.close(ctx)
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
	if talos.KindOf(err) == talos.UnknownTopic {
		signal(t.refreshNow)
	}
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

// refresh loads the directory from the coordinator.
func (t *term) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	giveBack, err := t.take(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	topics, err := t.node.cfg.Meta.Topics(ctx)
	if err != nil {
		return err
	}
	t.topics.replace(topics)
	if t.partitions == nil {
		return nil
	}
	return t.partitions.configure(ctx, topics...)
}

// repeat runs f at each signal of now, at least every reloadInterval, and sooner
// again after a failure.
func (t *term) repeat(work string, now <-chan struct{}, f func(context.Context) error) {
	timer := time.NewTimer(reloadInterval)
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
			timer.Reset(reloadInterval)
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
