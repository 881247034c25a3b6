package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newNodeList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the nodes, and what each owns",
		Args:  exactArgs(),
	}
	out := outputFlag(cmd, nodeJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			status, err := client.Cluster(ctx)
			if err != nil {
				return err
			}
			if *out != formatJSON {
				return nodeGrid(status.Nodes, status.At).write(cmd.OutOrStdout())
			}
			for _, n := range status.Nodes {
				if err := printJSON(cmd.OutOrStdout(), toNodeJSON(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}

// nodeGrid is the table of nodes.
func nodeGrid(nodes []sdk.NodeStatus, now time.Time) *grid {
	g := newGrid(left("NODE"), left("ADDRESS"), left("STATE"), right("PARTITIONS"), right("IN"), right("OUT"),
		right("BYTES/S"), right("APPENDS/S"), right("UP"), left("VERSION"))
	for _, n := range nodes {
		up := "-"
		if n.Registered {
			up = since(now, n.Started)
		}
		g.add(n.ID, orDash(n.Address), nodeState(n), n.Owned, n.Incoming, n.Outgoing,
			humanBytes(int64(n.BytesPerSecond)), fmt.Sprintf("%.0f", n.AppendsPerSecond), up, orDash(n.Version))
	}
	return g
}
