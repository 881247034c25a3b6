package chaos

import (
	"context"
	"fmt"
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
// else may have its partitions.
func announcedRestart(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	w.asks("a restart", func(ctx context.Context) error { return w.client.Restart(ctx, m.id, holdTime) })
	m.Stop()
	w.pass(w.between(time.Millisecond, w.Config.Lease))
	m.launch()
	return happening{
		felt: func() string {
			seen := said(m.id+" was restarted, as announced", marks.awaitRaised())
			if left := w.elsewhere(m, partitions); left > 0 {
				w.T.Errorf("%d partitions of %s went elsewhere while they were held for it", left, m.id)
			}
			return seen
		},
		heal: func() { w.awaitUp(m) },
	}
}

// elsewhere counts those of some partitions that another node owns now.
func (w *World) elsewhere(m *member, partitions []int32) (others int) {
	w.await("not all owners can be asked", func(ctx context.Context) bool {
		owned := w.owned(ctx)
		others = 0
		known := 0
		for id, all := range owned {
			known += len(all)
			for _, p := range all {
				for _, mine := range partitions {
					if p == mine && id != m.id {
						others++
					}
				}
			}
		}
		return known == int(w.Config.Partitions)
	})
	return others
}
