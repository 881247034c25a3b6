package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newRebalancePlan(s *settings) *cobra.Command {
	var without []string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what would move until every node has its share",
		Long: `Show what would move until every node has its share, and why. Nothing is changed.

The cluster does most of it by itself, a few partitions at a time. It evens load
out slowly, to be sure that it lasts; the plan has all of that at once.`,
		Example: `  talos rebalance plan
  talos rebalance plan --without node-2
  talos rebalance plan -o json > moves.json`,
		Args: exactArgs(),
	}
	cmd.Flags().StringSliceVar(&without, "without", nil, "plan as if `NODE`, or several, separated by commas, were drained")
	out := outputFlag(cmd, moveJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			plan, err := client.PlanMoves(ctx, without...)
			if err != nil {
				return err
			}
			sortMoves(plan.Moves)
			if *out != formatJSON {
				return printPlan(cmd.OutOrStdout(), plan)
			}
			for _, m := range plan.Moves {
				if err := printJSON(cmd.OutOrStdout(), toMoveJSON(m)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}
