package cli

import "github.com/spf13/cobra"

func newPartition(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "partition",
		Short: "Show where partitions are, move them, mend them",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newPartitionDescribe(s), newPartitionMove(s), newPartitionRebuild(s))
	return cmd
}
