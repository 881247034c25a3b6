package cli

import "github.com/spf13/cobra"

func newRebalance(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Show what moves and what should move, and move it",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newRebalancePlan(s), newRebalanceApply(s), newRebalanceStatus(s))
	return cmd
}
