package clusterbench

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/talos-log/talos/talos"
)

// hold is how long the others leave a node's partitions alone: much longer than it
// is away.
const hold = 5 * time.Minute

// restart ends a node that has announced it, and starts it again.
func restart(ctx context.Context, l *lab) error {
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
	node := l.nodes[0]
	before, err := l.placement(ctx)
	if err != nil {
		return err
	}
	owned, err := l.ownedBy(ctx, node.ID)
	if err != nil {
		return err
	}
	if err := l.client.Restart(ctx, node.ID, hold); err != nil {
		return err
	}
	from := time.Now()
	if err := node.Child().End(syscall.SIGTERM, endTimeout); err != nil {
		return err
	}
	if err := errors.Join(node.Child().Err(), pass(ctx, l.Away), l.start(ctx, node)); err != nil {
		return err
	}
	back := time.Now()
	served, err := l.awaitServed(ctx, tr, numbers(l.Partitions), back)
	if err != nil {
		return err
	}
	after, err := l.placement(ctx)
	if err != nil {
		return err
	}
	moved := 0
	for i := range after {
		if after[i].Owner != before[i].Owner || after[i].Next != "" {
			moved++
		}
	}
	var gaps, others []time.Duration
	for _, p := range numbers(l.Partitions) {
		gap := tr.pause(p, from, served)
		if slices.Contains(owned, p) {
			gaps = append(gaps, gap)
		} else {
			others = append(others, gap)
		}
	}
	l.atMost("partitions moved", "", float64(moved), 0)
	l.note("partitions of the node", "", float64(len(owned)))
	l.note("away, from the signal until it is ready", "ms", milliseconds(back.Sub(from)))
	l.note("longest gap of its partitions", "ms", milliseconds(slices.Max(gaps)))
	l.note("longest gap beyond the time away", "ms", milliseconds(slices.Max(gaps)-back.Sub(from)))
	l.note("longest gap of the others", "ms", percentile(100, others))
	return nil
}
