package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newPartitionMove(s *settings) *cobra.Command {
	var (
		partition int32
		to        string
		unpin     bool
	)
	cmd := &cobra.Command{
		Use:   "move TOPIC",
		Short: "Move a partition to a node, and pin it there",
		Long: `Move a partition to a node, and pin it there: it stays until it is unpinned, or
while the node can't have it. With --unpin it may be anywhere again. A node that is
not there, drains or can't do its work is refused.`,
		Example: `  talos partition move logs --partition 3 --to node-2
  talos partition move logs --partition 3 --unpin`,
		Args: exactArgs("a topic"),
	}
	partitionFlag(cmd, &partition, "move partition `N`")
	cmd.Flags().StringVar(&to, "to", "", "the `NODE` that should have it")
	cmd.Flags().BoolVar(&unpin, "unpin", false, "take back what an earlier move said; the partition stays where it is for now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPartition(cmd, &partition); err != nil {
			return err
		}
		if partition == allPartitions || (to == "") != unpin {
			return &usageError{text: "it wants --partition, and one of --to and --unpin", hint: seeHelp(cmd)}
		}
		name := fmt.Sprintf("%s/%d", args[0], partition)
		return s.withPatientClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			if unpin {
				_, err := within(ctx, s, func(ctx context.Context) (struct{}, error) {
					return struct{}{}, client.PinPartitions(ctx, sdk.Pin{Topic: talos.TopicName(args[0]), Partition: partition})
				})
				if err == nil {
					say(cmd, "%s may be anywhere", name)
				}
				return err
			}
			c := carrier{s: s, client: client, keep: true, done: func(sdk.PlannedMove, bool) error { return nil }}
			err := c.carry(ctx, []sdk.PlannedMove{{Topic: talos.TopicName(args[0]), Partition: partition, To: to}})
			switch {
			case ctx.Err() != nil:
				return stoppedError(name+" is pinned to "+to+", and moves there by itself",
					fmt.Sprintf("`talos partition move %s --partition %d --unpin` takes that back", args[0], partition))
			case err == nil:
				say(cmd, "%s is on %s, and stays there", name, to)
			case c.asked:
				say(cmd, "%s stays pinned to %s; `talos partition move %s --partition %d --unpin` takes that back", name, to, args[0], partition)
			}
			return err
		})
	}
	return cmd
}
