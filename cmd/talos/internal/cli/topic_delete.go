package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newTopicDelete(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "delete TOPIC",
		Short: "Delete a topic and its records, for good",
		Args:  exactArgs("a topic"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
				if err := client.DeleteTopic(ctx, talos.TopicName(args[0])); err != nil {
					return err
				}
				say(cmd, "deleted topic %s", args[0])
				return nil
			})
		},
	}
}
