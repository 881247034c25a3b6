package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newNodeUncordon(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "uncordon NODE",
		Short: "Take back what drain or restart said of a node",
		Long: `Take back what drain or restart said of a node. It gets its share of the
partitions again, a few at a time. It is no error if nothing was said.`,
		Args: exactArgs("a node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
				if err := client.Uncordon(ctx, args[0]); err != nil {
					return err
				}
				status, err := client.Cluster(ctx)
				if err != nil {
					return err
				}
				if slices.ContainsFunc(status.Nodes, func(n sdk.NodeStatus) bool { return n.ID == args[0] }) {
					say(cmd, "%s may own partitions again", args[0])
				} else {
					say(cmd, "there is no node %s now; one that starts under this id may own partitions", args[0])
				}
				return nil
			})
		},
	}
}
