package clusterbench

import (
	"context"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// aftermath is how long after a move a pause counts as its own: the first
// acknowledgement of the new owner may come after etcd names it.
const aftermath = 200 * time.Millisecond

// targets of a pause, in milliseconds; 0: there is none.
func (l *lab) pauseTargets() (p50, p99 float64) {
	switch l.store.kind {
	case Local:
		return 20, 50
	case HDFS:
		return 0, 100
	default:
		return 0, 0
	}
}

// pauses reports durations against those targets.
func (l *lab) pauses(name string, of []time.Duration) {
	p50, p99 := l.pauseTargets()
	l.target(name+", p50", "ms", percentile(50, of), p50)
	l.target(name+", p99", "ms", percentile(99, of), p99)
}

// target is atMost where there is one.
func (l *lab) target(name, unit string, value, target float64) {
	if target == 0 {
		l.note(name, unit, value)
		return
	}
	l.atMost(name, unit, value, target)
}

// moves brings partitions to other nodes, one at a time.
func moves(ctx context.Context, l *lab) error {
	if err := l.create(ctx, l.Partitions, talos.TopicConfig{}); err != nil {
		return err
	}
	tr, err := l.drive(ctx, numbers(l.Partitions), l.Rate)
	if err != nil {
		return err
	}
	defer l.finish(tr)
	if err := pass(ctx, l.WarmUp); err != nil {
		return err
	}
	var moved, others []time.Duration
	for i := range l.Moves {
		partition := int32(i) % l.Partitions
		from := time.Now()
		if err := l.move(ctx, partition); err != nil {
			return err
		}
		to := time.Now().Add(aftermath)
		if err := pass(ctx, aftermath); err != nil {
			return err
		}
		if _, err := l.awaitServed(ctx, tr, numbers(l.Partitions), to); err != nil {
			return err
		}
		moved = append(moved, tr.pause(partition, from, to))
		others = append(others, tr.pause((partition+1)%l.Partitions, from, to))
	}
	l.note("partitions moved", "", float64(len(moved)))
	l.pauses("pause", moved)
	l.note("gap of one that did not move, p50", "ms", percentile(50, others))
	l.note("gap of one that did not move, p99", "ms", percentile(99, others))
	return nil
}

// move pins a partition to the node after its owner, and waits until it is there.
func (l *lab) move(ctx context.Context, partition int32) error {
	all, err := l.placement(ctx)
	if err != nil {
		return err
	}
	to := l.nodes[0].ID
	for i, n := range l.nodes {
		if n.ID == all[partition].Owner {
			to = l.nodes[(i+1)%len(l.nodes)].ID
		}
	}
	if err := l.client.PinPartitions(ctx, sdk.Pin{Topic: topic, Partition: partition, Node: to}); err != nil {
		return err
	}
	return l.await(ctx, "a partition moves", func(ctx context.Context) (bool, error) {
		all, err := l.placement(ctx)
		return err == nil && all[partition].Owner == to && all[partition].Next == "", err
	})
}

// numbers are all partitions of a topic.
func numbers(partitions int32) []int32 {
	var all []int32
	for p := range partitions {
		all = append(all, p)
	}
	return all
}
