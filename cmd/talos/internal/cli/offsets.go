package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// offsetsJSON is one partition as offsets -o json prints it.
type offsetsJSON struct {
	Partition int32  `json:"partition" doc:"the partition's number, from 0 on"`
	Start     int64  `json:"start" doc:"the first offset that can be read"`
	End       int64  `json:"end" doc:"the offset that the next record gets"`
	Segments  int    `json:"segments" doc:"segments of its chain in the store"`
	Bytes     int64  `json:"bytes" doc:"their size in the store"`
	Epoch     int32  `json:"epoch" doc:"the number of its present ownership"`
	Owner     string `json:"owner" doc:"the owning node's id"`
	Address   string `json:"address" doc:"host:port of that node"`
	Error     string `json:"error,omitempty" doc:"why the partition can't be asked; the other fields mean nothing then"`
}

func newOffsets(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "offsets TOPIC",
		Short: "Show start, end, segments and owner of each partition",
		Long: `Show what each partition of a topic holds: the first offset that can be read,
the offset that the next record gets, its segments in the store, and its owner.
With -o json, one object per line.`,
		Args: exactArgs("a topic"),
	}
	out := outputFlag(cmd, offsetsJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			found, err := client.Offsets(ctx, talos.TopicName(args[0]))
			if err != nil {
				return err
			}
			return errors.Join(printOffsets(cmd.OutOrStdout(), *out, found), firstFault(found))
		})
	}
	return cmd
}

// firstFault makes the command fail if a partition could not be asked.
func firstFault(found []sdk.PartitionOffsets) error {
	for _, p := range found {
		if p.Err != nil {
			return fmt.Errorf("partition %d: %w", p.Partition, p.Err)
		}
	}
	return nil
}

func printOffsets(w io.Writer, f format, found []sdk.PartitionOffsets) error {
	g := newGrid(right("PARTITION"), right("START"), right("END"), right("SEGMENTS"), right("SIZE"), right("EPOCH"),
		left("OWNER"), left("ADDRESS"))
	for _, p := range found {
		row := offsetsJSON{
			Partition: p.Partition, Start: int64(p.Range.Start), End: int64(p.Range.End),
			Segments: p.Segments, Bytes: p.Bytes, Epoch: int32(p.Epoch), Owner: p.Owner, Address: p.OwnerAddress,
		}
		if p.Err != nil {
			row = offsetsJSON{Partition: p.Partition, Error: describe(p.Err)}
		}
		if f == formatJSON {
			if err := printJSON(w, row); err != nil {
				return err
			}
			continue
		}
		g.add(row.cells()...)
	}
	if f == formatJSON {
		return nil
	}
	return g.write(w)
}

func (o offsetsJSON) cells() []any {
	if o.Error != "" {
		return []any{o.Partition, "-", "-", "-", "-", "-", "-", "-"}
	}
	return []any{o.Partition, o.Start, o.End, o.Segments, humanBytes(o.Bytes), o.Epoch, orDash(o.Owner), orDash(o.Address)}
}
