package cli

import "github.com/spf13/cobra"

func newPartition(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "partition",
		Short: "Mend partitions that can't be opened",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newPartitionRebuild(s))
	return cmd
}
