package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newRecords(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "records",
		Short: "Delete old records of a partition",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newRecordsDelete(s))
	return cmd
}

// rangeJSON is what records delete -o json prints.
type rangeJSON struct {
	Partition int32 `json:"partition" doc:"the partition's number"`
	Start     int64 `json:"start" doc:"the first offset that can be read now"`
	End       int64 `json:"end" doc:"the offset that the next record gets"`
}

func newRecordsDelete(s *settings) *cobra.Command {
	var (
		partition int32
		before    int64
	)
	cmd := &cobra.Command{
		Use:   "delete TOPIC --partition N --before OFFSET",
		Short: "Delete the records of a partition below an offset, for good",
		Long: `Delete the records of one partition below an offset. They can't be read from then
on. Segments go from the store a minute later where all of their records are
deleted; the newest segment goes after the next one has begun.`,
		Example: "  talos records delete logs --partition 0 --before 1000",
		Args:    exactArgs("a topic"),
	}
	partitionFlag(cmd, &partition, "the `PARTITION`'s number")
	cmd.Flags().Int64Var(&before, "before", 0, "the first `OFFSET` that stays; the partition's end deletes all")
	out := outputFlag(cmd, rangeJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("before") || !cmd.Flags().Changed("partition") {
			return &usageError{text: "--partition and --before must say what to delete", hint: seeHelp(cmd)}
		}
		if err := checkPartition(cmd, &partition); err != nil {
			return err
		}
		if before < 0 {
			return &usageError{text: "--before: offsets count from 0", hint: seeHelp(cmd)}
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			rng, err := client.DeleteRecords(ctx, talos.TopicName(args[0]), partition, talos.Offset(before))
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), rangeJSON{Partition: partition, Start: int64(rng.Start), End: int64(rng.End)})
			}
			say(cmd, "partition %d of %s starts at offset %d", partition, args[0], rng.Start)
			return nil
		})
	}
	return cmd
}
