package clusterbench

import (
	"context"
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
)

// kills ends a node with SIGKILL, starts it again, and takes the next one.
func kills(ctx context.Context, l *lab) error {
	if err := l.create(ctx, l.Partitions, talos.TopicConfig{}); err != nil {
		return err
	}
	tr, err := l.drive(ctx, numbers(l.Partitions), l.Rate)
	if err != nil {
		return err
	}
	defer l.finish(tr)
	var took []time.Duration
	for round := range l.Kills {
		if err := pass(ctx, l.WarmUp); err != nil {
			return err
		}
		victim := l.nodes[round%len(l.nodes)]
		owned, err := l.ownedBy(ctx, victim.ID)
		if err != nil {
			return err
		}
		killed := time.Now()
		if err := kill(victim); err != nil {
			return err
		}
		served, err := l.awaitServed(ctx, tr, owned, killed)
		if err != nil {
			return err
		}
		took = append(took, served.Sub(killed))
		l.say("round %d: %d partitions of %s were served again after %v", round+1, len(owned), victim.ID, served.Sub(killed))
		if err := l.start(ctx, victim); err != nil {
			return err
		}
		if err := l.awaitBalance(ctx, l.Partitions); err != nil {
			return err
		}
	}
	l.note("kills", "", float64(len(took)))
	beyond := time.Second
	if l.store.kind == HDFS {
		beyond = 5 * time.Second
	}
	l.note("time until all its partitions serve, p50", "ms", percentile(50, took))
	l.atMost("time until all its partitions serve, longest", "ms", milliseconds(slices.Max(took)), milliseconds(l.Lease+beyond))
	return nil
}
