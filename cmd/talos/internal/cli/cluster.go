package cli

import "github.com/spf13/cobra"

func newCluster(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Is all well, and if not, what to do",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newClusterStatus(s))
	return cmd
}
