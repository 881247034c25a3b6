package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newTopicAlter(s *settings) *cobra.Command {
	var partitions int32
	config := &topicFlags{}
	cmd := &cobra.Command{
		Use:   "alter TOPIC",
		Short: "Change a topic's settings, or give it more partitions",
		Long: `Change what the flags name, and leave the rest. It takes effect at once, for the
segments that are there as well where it is about keeping them.

Partitions can only become more. Records with the same key may go to another
partition from then on, so that their order is lost across the change.`,
		Example: "  talos topic alter logs --partitions 8\n  talos topic alter logs --retention 168h",
		Args:    exactArgs("a topic"),
	}
	cmd.Flags().Int32Var(&partitions, "partitions", 0, "have `N` partitions")
	config.add(cmd)
	out := outputFlag(cmd, topicJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := config.change(cmd)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("partitions") {
			change.Partitions = &partitions
		}
		if change == (talos.TopicChange{}) {
			return &usageError{text: "nothing to change was named", hint: seeHelp(cmd)}
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			topic, err := client.AlterTopic(ctx, talos.TopicName(args[0]), change)
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), toTopicJSON(topic))
			}
			say(cmd, "altered topic %s, which has %s", topic.Name, count(topic.Partitions, "partition"))
			return nil
		})
	}
	return cmd
}
