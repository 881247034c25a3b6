package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// defaultHold is how long a node may take to restart unless told otherwise.
const defaultHold = 2 * time.Minute

func newNodeRestart(s *settings) *cobra.Command {
	var hold time.Duration
	cmd := &cobra.Command{
		Use:   "restart NODE",
		Short: "Announce that a node goes away and comes back soon",
		Long: `Announce that a node goes away and comes back soon: what it owns is kept for it,
and nothing moves. While it is away its partitions take and give no records, and
clients wait. What is not back in time goes to other nodes, and a node that was not
ended by then is like any other again.

Then end the node, and start it again under the same id. That ends the mark. A node
that is drained needs none, and is refused: it has nothing that could be kept.`,
		Example: `  talos node restart node-2 --hold 1m`,
		Args:    exactArgs("a node"),
	}
	cmd.Flags().DurationVar(&hold, "hold", defaultHold, "keep what it owns for `DURATION`, from now on")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if hold <= 0 {
			return &usageError{text: fmt.Sprintf("--hold %s: want more than 0", hold), hint: seeHelp(cmd)}
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			if err := client.Restart(ctx, args[0], hold); err != nil {
				return err
			}
			say(cmd, "what %s owns is kept for it for %s: stop it and start it again now", args[0], age(hold))
			return nil
		})
	}
	return cmd
}
