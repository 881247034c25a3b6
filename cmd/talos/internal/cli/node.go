package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newNode(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "List nodes, drain them, announce their restart",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newNodeList(s), newNodeDrain(s), newNodeRestart(s), newNodeUncordon(s))
	return cmd
}

// nodeJSON is a node as -o json prints it.
type nodeJSON struct {
	ID               string  `json:"id" doc:"the node's id"`
	Address          string  `json:"address" doc:"host:port of its RPC port; empty if it is not there"`
	Version          string  `json:"version" doc:"its build; empty if it is not there"`
	State            string  `json:"state" doc:"serves, unfit, draining, drained, restarting, away, or gone"`
	StartedMS        int64   `json:"started_ms" doc:"when it registered, in milliseconds since 1970; 0 if it is not there"`
	Unfit            string  `json:"unfit" doc:"why it says that it can't do its work; empty if it can"`
	Mark             string  `json:"mark" doc:"drain, restart, or empty"`
	MarkUntilMS      int64   `json:"mark_until_ms" doc:"when a restart must be over, in milliseconds since 1970, else 0"`
	Partitions       int     `json:"partitions" doc:"how many partitions it owns"`
	Incoming         int     `json:"incoming" doc:"partitions that are on their way to it"`
	Outgoing         int     `json:"outgoing" doc:"partitions that are on their way from it"`
	BytesPerSecond   float64 `json:"bytes_per_second" doc:"what it took lately"`
	AppendsPerSecond float64 `json:"appends_per_second" doc:"what it took lately, in batches"`
}

func toNodeJSON(n sdk.NodeStatus) nodeJSON {
	return nodeJSON{
		ID: n.ID, Address: n.Address, Version: n.Version, State: nodeState(n), StartedMS: millis(n.Started), Unfit: n.Unfit,
		Mark: string(n.Mark), MarkUntilMS: millis(n.MarkUntil), Partitions: n.Owned, Incoming: n.Incoming, Outgoing: n.Outgoing,
		BytesPerSecond: n.BytesPerSecond, AppendsPerSecond: n.AppendsPerSecond,
	}
}

// millis is the opposite of what the SDK makes of 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// nodeState is one word for a node.
func nodeState(n sdk.NodeStatus) string {
	switch {
	case !n.Registered && n.Mark == sdk.MarkRestart:
		return "away"
	case !n.Registered:
		return "gone"
	case n.Mark == sdk.MarkDrain && n.Owned > 0:
		return "draining"
	case n.Mark == sdk.MarkDrain:
		return "drained"
	case n.Unfit != "":
		return "unfit"
	case n.Mark == sdk.MarkRestart:
		return "restarting"
	default:
		return "serves"
	}
}
