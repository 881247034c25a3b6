package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newNodeUncordon(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "uncordon NODE",
		Short: "Take back what drain or restart said of a node",
		Long: `Take back what drain or restart said of a node. It gets its share of the
partitions again, a few at a time.`,
		Args: exactArgs("a node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
				if err := client.Uncordon(ctx, args[0]); err != nil {
					return err
				}
				say(cmd, "%s may own partitions again", args[0])
				return nil
			})
		},
	}
}
