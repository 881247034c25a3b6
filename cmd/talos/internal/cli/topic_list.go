package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newTopicList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all topics",
		Long:  "List all topics by name. With -o json, one object per line.",
		Args:  exactArgs(),
	}
	out := outputFlag(cmd, topicJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			topics, err := client.Topics(ctx)
			if err != nil {
				return err
			}
			g := newGrid(left("NAME"), right("PARTITIONS"), left("DURABILITY"), left("ID"))
			for _, t := range topics {
				if *out == formatJSON {
					if err := printJSON(cmd.OutOrStdout(), toTopicJSON(t)); err != nil {
						return err
					}
				}
				g.add(t.Name, t.Partitions, t.Config.Acknowledges(), t.ID)
			}
			if *out == formatJSON {
				return nil
			}
			if len(topics) == 0 {
				say(cmd, "there are no topics; `talos topic create` makes one")
			}
			return g.write(cmd.OutOrStdout())
		})
	}
	return cmd
}
