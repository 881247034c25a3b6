package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newTopicCreate(s *settings) *cobra.Command {
	var (
		partitions   int32
		segmentBytes int64
		segmentAge   time.Duration
		durability   string
	)
	cmd := &cobra.Command{
		Use:   "create TOPIC",
		Short: "Create a topic",
		Long: `Create a topic. Records are ordered within each of its partitions, and the
partitions can be written and read in parallel.`,
		Example: "  talos topic create logs --partitions 4",
		Args:    exactArgs("a topic"),
	}
	cmd.Flags().Int32Var(&partitions, "partitions", 1, "have `N` partitions")
	cmd.Flags().Int64Var(&segmentBytes, "segment-bytes", 0, "roll a segment at `BYTES` (default 256 MiB)")
	cmd.Flags().DurationVar(&segmentAge, "segment-age", 0, "roll a segment at this `AGE`, as in 90m (default 24h)")
	cmd.Flags().StringVar(&durability, "durability", "", "acknowledge when `sync`ed to disk (default), or on HDFS already when flushed to\nall replicas' memory: flush")
	out := outputFlag(cmd, topicJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := talos.TopicConfig{SegmentBytes: segmentBytes, SegmentMillis: segmentAge.Milliseconds(), Durability: talos.Durability(durability)}
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
