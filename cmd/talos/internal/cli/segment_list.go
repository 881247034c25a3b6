package cli

import (
	"errors"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/storage/inspect"
)

// segmentJSON is one segment as segment list -o json prints it.
type segmentJSON struct {
	ID         string `json:"id" doc:"the segment's id in the store"`
	Topic      string `json:"topic" doc:"the topic's name, or its id if it has no manifest"`
	Partition  int32  `json:"partition" doc:"the partition's number"`
	Number     int64  `json:"number" doc:"its place in the partition's chain, from 1 on"`
	Epoch      int32  `json:"epoch" doc:"the ownership under which it was written"`
	Base       int64  `json:"base" doc:"its first offset"`
	Bytes      int64  `json:"bytes" doc:"its size now"`
	Superseded bool   `json:"superseded" doc:"there is one of the same number with a higher epoch, which counts"`
}

func segmentRow(e inspect.Entry, topic string) segmentJSON {
	return segmentJSON{
		ID: e.ID().String(), Topic: topic, Partition: e.Partition.Number, Number: int64(e.Name.Number),
		Epoch: int32(e.Name.Epoch), Base: int64(e.Name.Base), Bytes: e.Size, Superseded: e.Superseded,
	}
}

func newSegmentList(open opener) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all segments",
		Long:  "List all segments of a store, in the order of their chains.\nWith -o json, one object per line.",
		Args:  exactArgs(),
	}
	out := outputFlag(cmd, segmentJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		store, err := open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		entries, err := inspect.List(cmd.Context(), store)
		if err != nil {
			return err
		}
		names := topicNames(cmd.Context(), store, entries)
		g := newGrid(left("TOPIC"), right("PARTITION"), right("NUMBER"), right("EPOCH"), right("BASE"), right("SIZE"), left("ID"))
		for _, e := range entries {
			row := segmentRow(e, names[e.Partition.Topic])
			if *out == formatJSON {
				if err := printJSON(cmd.OutOrStdout(), row); err != nil {
					return err
				}
				continue
			}
			note := ""
			if row.Superseded {
				note = paletteFor(cmd.OutOrStdout()).paint(" (superseded)", text.FgYellow)
			}
			g.add(row.Topic, row.Partition, row.Number, row.Epoch, row.Base, humanBytes(row.Bytes), row.ID+note)
		}
		if *out == formatJSON {
			return nil
		}
		return g.write(cmd.OutOrStdout())
	}
	return cmd
}
