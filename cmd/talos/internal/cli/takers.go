package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// takers returns an error if a node can't get what it should.
func (c *carrier) takers(ctx context.Context, moves []sdk.PlannedMove) error {
	status, err := c.client.Cluster(ctx)
	if err != nil {
		return err
	}
	for _, m := range moves {
		if err := mayTake(status.Nodes, m, ""); err != nil {
			return err
		}
	}
	return nil
}

// stay returns an error if a node that is waited for has begun to leave. One that is
// away or unfit may be so for a moment.
func (c *carrier) stay(ctx context.Context, moves []sdk.PlannedMove) error {
	status, err := c.client.Cluster(ctx)
	if err != nil {
		return err
	}
	leaving := slices.DeleteFunc(status.Nodes, func(n sdk.NodeStatus) bool { return !n.Registered || n.Mark != sdk.MarkDrain })
	for _, m := range moves {
		if slices.ContainsFunc(leaving, func(n sdk.NodeStatus) bool { return n.ID == m.To }) {
			return mayTake(leaving, m, "")
		}
	}
	return nil
}

// mayTake returns why the node that a move goes to gets nothing now: the move would
// wait for as long as that lasts. where is what the move stands in, or empty.
func mayTake(nodes []sdk.NodeStatus, m sdk.PlannedMove, where string) error {
	refusal := &talos.Error{Op: "cli.mayTake", Subject: moveName(m), Detail: "it is to go to " + m.To}
	if where != "" {
		refusal.Subject, refusal.Detail = "", fmt.Sprintf("%s: %s is to go to %s", where, moveName(m), m.To)
	}
	toDo := "`talos node list` shows those that are there"
	i := slices.IndexFunc(nodes, func(n sdk.NodeStatus) bool { return n.ID == m.To })
	if i < 0 || !nodes[i].Registered && nodes[i].Mark != sdk.MarkRestart {
		refusal.Kind = talos.UnknownNode
	} else {
		var why string
		if why, toDo = whyUnschedulable(nodes[i]); why == "" {
			return nil
		}
		refusal.Kind = talos.UnschedulableNode
		refusal.Detail += ", which " + why
	}
	return &hintedError{refusal, toDo + "; or choose another node: `talos rebalance plan` makes a new plan"}
}

// whyUnschedulable says why a node that the cluster counts on gets nothing now, and
// what to do; both are empty if it does.
func whyUnschedulable(n sdk.NodeStatus) (why, toDo string) {
	switch {
	case !n.Registered:
		return "is away for a restart", "start it"
	case n.Mark == sdk.MarkDrain && n.Ending:
		return "is ending", "wait until it is there again"
	case n.Mark == sdk.MarkDrain:
		return "drains", fmt.Sprintf("`talos node uncordon %s` takes it back", n.ID)
	case n.Unfit != "":
		return "can't do its work: " + oneLine(n.Unfit), "check the store as that host sees it"
	default:
		return "", ""
	}
}

func moveName(m sdk.PlannedMove) string { return fmt.Sprintf("%s/%d", m.Topic, m.Partition) }
