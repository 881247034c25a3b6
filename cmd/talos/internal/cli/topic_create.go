package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newTopicCreate(s *settings) *cobra.Command {
	var partitions int32
	config := &topicFlags{}
	cmd := &cobra.Command{
		Use:   "create TOPIC",
		Short: "Create a topic",
		Long: `Create a topic. Records are ordered within each of its partitions, and the
partitions can be written and read in parallel.`,
		Example: "  talos topic create logs --partitions 4",
		Args:    exactArgs("a topic"),
	}
	cmd.Flags().Int32Var(&partitions, "partitions", 1, "have `N` partitions")
	config.add(cmd)
	out := outputFlag(cmd, topicJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.apply(cmd, talos.TopicConfig{})
		if err != nil {
			return err
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			topic, err := client.CreateTopic(ctx, talos.TopicName(args[0]), partitions, cfg)
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), toTopicJSON(topic))
			}
			say(cmd, "created topic %s with %s", topic.Name, count(topic.Partitions, "partition"))
			return nil
		})
	}
	return cmd
}
