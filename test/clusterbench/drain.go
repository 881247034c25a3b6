package clusterbench

import (
	"context"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// drain lets a node hand over all that it has. Only its partitions are under load,
// so that each of them has as much of it as possible; still, records come so rarely
// that a pause is told by what waited for it.
func drain(ctx context.Context, l *lab) error {
	partitions := l.DrainPartitions * int32(l.Nodes)
	if err := l.create(ctx, partitions, talos.TopicConfig{}); err != nil {
		return err
	}
	node := l.nodes[0].ID
	owned, err := l.ownedBy(ctx, node)
	if err != nil {
		return err
	}
	tr, err := l.drive(ctx, owned, l.Rate)
	if err != nil {
		return err
	}
	defer l.finish(tr)
	// Each partition begins a segment with its first record.
	if _, err := l.awaitServed(ctx, tr, owned, time.Now()); err != nil {
		return err
	}
	// What waited for that is not what records usually wait.
	if err := pass(ctx, l.WarmUp); err != nil {
		return err
	}
	before := time.Now()
	if err := pass(ctx, l.WarmUp); err != nil {
		return err
	}
	from := time.Now()
	if err := l.client.Drain(ctx, node); err != nil {
		return err
	}
	if err := l.await(ctx, "a node is drained", func(ctx context.Context) (bool, error) {
		s, err := l.client.Cluster(ctx)
		return err == nil && empty(s, node), err
	}); err != nil {
		return err
	}
	to := time.Now()
	if _, err := l.awaitServed(ctx, tr, owned, to); err != nil {
		return err
	}
	closing, err := l.handover(ctx)
	if err != nil {
		return err
	}
	var waits, pauses, usual []time.Duration
	for _, p := range owned {
		waits = append(waits, tr.wait(p, from, to))
		pauses = append(pauses, tr.pause(p, from, to))
		usual = append(usual, tr.wait(p, before, from))
	}
	l.note("partitions handed over", "", float64(len(owned)))
	l.note("time until the node is empty", "s", to.Sub(from).Seconds())
	l.note("time to close a partition, at the node, mean", "ms", closing)
	l.pauses("longest wait of a record", waits)
	l.note("longest wait of a record before the drain, p99", "ms", percentile(99, usual))
	l.note("gap, p50", "ms", percentile(50, pauses))
	l.note("gap, p99", "ms", percentile(99, pauses))
	return nil
}

// handover is how long the drained node took to close a partition, in milliseconds: a
// part of what clients wait for.
func (l *lab) handover(ctx context.Context) (mean float64, err error) {
	const metric = "talos_server_handover_seconds"
	sum, err := l.nodes[0].Metric(ctx, metric+"_sum")
	if err != nil {
		return 0, err
	}
	count, err := l.nodes[0].Metric(ctx, metric+"_count")
	if err != nil || count == 0 {
		return 0, err
	}
	return 1000 * sum / count, nil
}

// empty tells whether a node has nothing, and gives nothing away any more.
func empty(s sdk.ClusterStatus, id string) bool {
	for _, n := range s.Nodes {
		if n.ID == id {
			return n.Owned == 0 && n.Outgoing == 0
		}
	}
	return false
}
