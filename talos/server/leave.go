package server

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/coordinator"
)

// leave gives the node's partitions away before it ends: to others if there are
// any, one by one, while it goes on to serve the rest; then it closes what it still
// has. ctx bounds both.
func (n *Node) leave(ctx context.Context, t *term) error {
	n.leaving.Store(true)
	n.publishHealth(false)
	if why, alone := t.alone(); alone {
		n.cfg.Logger.Info("ending: the partitions are closed, and kept for this node", "reason", why)
	} else {
		moving, cancel := half(ctx)
		n.handAllOver(moving, t) // what is left is closed in the other half
		cancel()
	}
	n.setServing(nil)
	if err := t.end(ctx); err != nil {
		return fmt.Errorf("hand the partitions over: %w", err)
	}
	return nil
}

// half ends when half of the time until the end of ctx is over.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, within(ctx)/2)
}

// alone tells whether nobody should take this node's partitions, and why not.
func (t *term) alone() (why string, alone bool) {
	own := t.node.cfg.NodeID
	now := time.Now()
	if mark, ok := t.view.Leaving(own); ok && mark.Kind == coordinator.LeavingRestart && !mark.Over(now) {
		return "it is marked to be back until " + mark.Until().UTC().Format(time.RFC3339), true
	}
	for _, m := range t.view.Members() {
		mark, leaves := t.view.Leaving(m.ID)
		if m.ID != own && m.Unfit == nil && (!leaves || mark.Over(now)) {
			return "", false
		}
	}
	return "no other node could take them", true
}

// within is how long ctx lasts, which has an end.
func within(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end).Round(time.Millisecond)
}

// handAllOver marks the node, and waits until the scheduler has moved everything
// away, or ctx ends.
func (n *Node) handAllOver(ctx context.Context, t *term) {
	owned, _ := t.view.Owned(n.cfg.NodeID)
	n.cfg.Logger.Info("draining: the node ends when its partitions are handed over", "partitions", owned, "within", within(ctx))
	if err := n.cfg.Meta.LeaveNow(ctx); err != nil {
		n.cfg.Logger.Warn("the cluster could not be told that this node ends", "error", err)
	}
	for {
		moved := t.view.Moved()
		owned, coming := t.view.Owned(n.cfg.NodeID)
		if owned == 0 && coming == 0 {
			n.cfg.Logger.Info("all partitions are handed over")
			return
		}
		if _, alone := t.alone(); alone {
			return
		}
		select {
		case <-moved:
		case <-n.cfg.Meta.Lost():
			return
		case <-ctx.Done():
			n.cfg.Logger.Warn("not all partitions were handed over in time: they are closed, and the others open them when this node is gone", "left", owned)
			return
		}
	}
}
