package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// placementJSON is what partition describe -o json prints for each partition.
type placementJSON struct {
	Topic          string  `json:"topic" doc:"the topic's name"`
	Partition      int32   `json:"partition" doc:"the partition's number, from 0 on"`
	State          string  `json:"state" doc:"owned, moving, held (its owner is away for a restart), or orphan (it has no owner that is there)"`
	Owner          string  `json:"owner" doc:"the owning node's id; empty for nobody"`
	Address        string  `json:"address" doc:"host:port of that node; empty if it is not there"`
	Next           string  `json:"next" doc:"the node that it moves to; empty if it stays"`
	SinceMS        int64   `json:"since_ms" doc:"when that move began, in milliseconds since 1970; else 0"`
	Pin            string  `json:"pin" doc:"the node that an operator wants it on; empty for any"`
	HeldUntilMS    int64   `json:"held_until_ms" doc:"until when it waits for its owner, in milliseconds since 1970; else 0"`
	BytesPerSecond float64 `json:"bytes_per_second" doc:"what it took lately; 0 if it is not among its node's hottest"`
	Epoch          int32   `json:"epoch" doc:"its epoch; 0 if its owner did not answer, as are those below"`
	Start          int64   `json:"start" doc:"the first offset that can be read"`
	End            int64   `json:"end" doc:"the offset behind the last one"`
	Segments       int     `json:"segments" doc:"how many segments it has"`
	Bytes          int64   `json:"bytes" doc:"and their size in bytes"`
	Error          string  `json:"error" doc:"why its owner did not answer, or empty"`
}

func newPartitionDescribe(s *settings) *cobra.Command {
	var partition int32
	cmd := &cobra.Command{
		Use:   "describe TOPIC",
		Short: "Show where partitions are, where they should be, and their state",
		Args:  exactArgs("a topic"),
	}
	partitionFlag(cmd, &partition, "show partition `N` only (default all)")
	out := outputFlag(cmd, placementJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPartition(cmd, &partition); err != nil {
			return err
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			name := talos.TopicName(args[0])
			found, err := client.Placement(ctx, name)
			if err != nil {
				return err
			}
			if partition >= found[0].Topic.Partitions {
				return &talos.Error{Kind: talos.UnknownPartition, Op: "cli.describe", Subject: fmt.Sprintf("%s/%d", name, partition)}
			}
			offsets, offsetsErr := client.Offsets(ctx, name)
			lines := toPlacementJSON(found[0], offsets, offsetsErr)
			if partition != allPartitions {
				lines = lines[partition : partition+1]
			}
			if err := tellPlacement(cmd.OutOrStdout(), *out, lines); err != nil {
				return err
			}
			if offsetsErr == nil {
				offsetsErr = firstFault(offsets)
			}
			if offsetsErr != nil && *out != formatJSON {
				say(cmd, "some offsets are not known now: %s", oneLine(describe(offsetsErr)))
			}
			return nil
		})
	}
	return cmd
}

func toPlacementJSON(t sdk.TopicPlacement, offsets []sdk.PartitionOffsets, offsetsErr error) []placementJSON {
	lines := make([]placementJSON, 0, len(t.Partitions))
	for i, p := range t.Partitions {
		line := placementJSON{
			Topic: string(t.Topic.Name), Partition: p.Partition, State: placementState(p), Owner: p.Owner, Address: p.Address,
			Next: p.Next, SinceMS: millis(p.Since), Pin: p.Pin, HeldUntilMS: millis(p.HeldUntil), BytesPerSecond: p.BytesPerSecond,
		}
		switch {
		case i >= len(offsets) && offsetsErr != nil:
			line.Error = oneLine(describe(offsetsErr))
		case i >= len(offsets):
			line.Error = "not asked"
		case offsets[i].Err != nil:
			line.Error = oneLine(describe(offsets[i].Err))
		default:
			o := offsets[i]
			line.Epoch, line.Start, line.End = int32(o.Epoch), int64(o.Range.Start), int64(o.Range.End)
			line.Segments, line.Bytes = o.Segments, o.Bytes
		}
		lines = append(lines, line)
	}
	return lines
}

func placementState(p sdk.PartitionPlacement) string {
	switch {
	case !p.HeldUntil.IsZero():
		return "held"
	case p.Owner == "" || p.Address == "":
		return "orphan"
	case p.Next != "":
		return "moving"
	default:
		return "owned"
	}
}

func tellPlacement(w io.Writer, f format, lines []placementJSON) error {
	if f == formatJSON {
		for _, line := range lines {
			if err := printJSON(w, line); err != nil {
				return err
			}
		}
		return nil
	}
	g := newGrid(right("PARTITION"), left("STATE"), left("OWNER"), left("NEXT"), left("PIN"), right("EPOCH"),
		right("START"), right("END"), right("SIZE"), right("BYTES/S"))
	for _, l := range lines {
		epoch, start, end, size := "-", "-", "-", "-"
		if l.Error == "" {
			epoch, start, end, size = fmt.Sprint(l.Epoch), fmt.Sprint(l.Start), fmt.Sprint(l.End), humanBytes(l.Bytes)
		}
		state := l.State
		if l.HeldUntilMS != 0 {
			state += " until " + clock(time.UnixMilli(l.HeldUntilMS))
		}
		g.add(l.Partition, state, orDash(l.Owner), orDash(l.Next), orDash(l.Pin), epoch, start, end, size, humanBytes(int64(l.BytesPerSecond)))
	}
	return g.write(w)
}
