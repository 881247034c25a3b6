package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/test/scene"
)

// holdTime is how long an announced restart may take: longer than any test waits.
const holdTime = 10 * time.Minute

// operatorFaults are what operators do on purpose, while clients go on.
func operatorFaults() []Fault {
	return []Fault{
		{Name: "drain", begin: drain},
		{Name: "move", begin: move},
		{Name: "announced-restart", begin: announcedRestart},
	}
}

// asks does what an operator does, until the cluster has taken it.
func (w *World) asks(what string, f func(ctx context.Context) error) {
	w.T.Helper()
	var err error
	w.await(what+" is not taken", func(ctx context.Context) bool {
		err = f(ctx)
		return err == nil
	})
}

// drain makes a node hand over what it owns, in good order.
func drain(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	w.asks("a drain", func(ctx context.Context) error { return w.client.Drain(ctx, m.id) })
	return happening{
		felt: func() string { return said(m.id+" was drained", marks.awaitRaised()) },
		heal: func() {
			w.asks("an uncordon", func(ctx context.Context) error { return w.client.Uncordon(ctx, m.id) })
		},
	}
}

// move pins some of a node's partitions to another one, and takes that back.
func move(w *World) happening {
	m, partitions := w.busiest()
	to := w.nodes[w.rng.IntN(len(w.nodes))]
	for to == m {
		to = w.any()
	}
	marks := w.mark(partitions)
	pins := func(node string) []sdk.Pin {
		var all []sdk.Pin
		for _, p := range partitions {
			all = append(all, sdk.Pin{Topic: scene.Topic, Partition: p, Node: node})
		}
		return all
	}
	w.asks("a pin", func(ctx context.Context) error { return w.client.PinPartitions(ctx, pins(to.id)...) })
	return happening{
		felt: func() string {
			return said(fmt.Sprintf("partitions of %s were pinned to %s", m.id, to.id), marks.awaitRaised())
		},
		heal: func() {
			w.asks("an unpin", func(ctx context.Context) error { return w.client.PinPartitions(ctx, pins("")...) })
		},
	}
}

// announcedRestart ends a node that is expected back, and starts it again: nobody
// else may have its partitions in between. (Once it is back they may move, as ever.)
func announcedRestart(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	w.asks("a restart", func(ctx context.Context) error { return w.client.Restart(ctx, m.id, holdTime) })
	m.Stop()
	held := w.keptFor(m)
	if len(held) == 0 && len(partitions) > 1 {
		w.T.Errorf("%s gave its %d partitions away, though they are to be held for it", m.id, len(partitions))
	}
	w.pass(w.between(time.Millisecond, w.Config.Lease))
	if left := w.keptFor(m); !slices.Equal(held, left) {
		w.T.Errorf("partitions of %s went elsewhere while they were held for it: %v, and now %v", m.id, held, left)
	}
	m.launch()
	return happening{
		felt: func() string { return said(m.id+" was restarted, as announced", marks.awaitRaised()) },
		heal: func() { w.awaitUp(m) },
	}
}

// keptFor lists the partitions of a node that is away, as a node sees it that has
// heard that it is: what it handed over before it went is not among them.
func (w *World) keptFor(m *member) (kept []int32) {
	w.T.Helper()
	w.await(m.id+" does not go, or nobody tells", func(ctx context.Context) bool {
		found, err := w.client.Placement(ctx, scene.Topic)
		if err != nil {
			return false
		}
		kept = nil
		for _, p := range found[0].Partitions {
			if p.Owner == m.id && p.Address != "" {
				return false
			}
			if p.Owner == m.id {
				kept = append(kept, p.Partition)
			}
		}
		return true
	})
	return kept
}
