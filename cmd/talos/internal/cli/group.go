package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

func newGroup(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "List, describe, reset and delete consumer groups",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newGroupList(s), newGroupDescribe(s), newGroupReset(s), newGroupDelete(s))
	return cmd
}

// groupJSON is one group as group list -o json prints it.
type groupJSON struct {
	Group   string `json:"group" doc:"the group's name"`
	State   string `json:"state" doc:"empty, rebalancing or stable"`
	Members int    `json:"members" doc:"its members"`
}

func newGroupList(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List consumer groups",
		Long: `List consumer groups. With -o json, one object per line.

empty        it has no members; its offsets are kept for a while
rebalancing  partitions are being given up or taken
stable       each partition is read by the member that is to have it`,
		Args: exactArgs(),
	}
	out := outputFlag(cmd, groupJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			groups, err := client.Groups(ctx)
			if err != nil {
				return err
			}
			g := newGrid(left("GROUP"), left("STATE"), right("MEMBERS"))
			for _, group := range groups {
				if *out == formatJSON {
					err := printJSON(cmd.OutOrStdout(), groupJSON{Group: group.Name, State: string(group.State), Members: group.Members})
					if err != nil {
						return err
					}
				}
				g.add(group.Name, string(group.State), group.Members)
			}
			if *out == formatJSON {
				return nil
			}
			return g.write(cmd.OutOrStdout())
		})
	}
	return cmd
}

func newGroupDelete(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "delete GROUP",
		Short: "Forget a group without members, and its offsets",
		Args:  exactArgs("a group"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
				if err := client.DeleteGroup(ctx, args[0]); err != nil {
					return err
				}
				say(cmd, "deleted group %s", args[0])
				return nil
			})
		},
	}
}
