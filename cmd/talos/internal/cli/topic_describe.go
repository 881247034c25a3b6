package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// descriptionJSON is what topic describe -o json prints.
type descriptionJSON struct {
	Topic  topicJSON   `json:"topic" doc:"the topic"`
	Owners []ownerJSON `json:"owners" doc:"who serves its partitions, in their order"`
}

type ownerJSON struct {
	Partition int32  `json:"partition" doc:"the partition's number, from 0 on"`
	Owner     string `json:"owner" doc:"the owning node's id; empty if nobody owns it now"`
	Address   string `json:"address" doc:"host:port of that node; empty if nobody owns it now"`
}

func newTopicDescribe(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe TOPIC",
		Short: "Show a topic's settings, and offsets and owner of its partitions",
		Args:  exactArgs("a topic"),
	}
	out := outputFlag(cmd, descriptionJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			d, err := client.Describe(ctx, talos.TopicName(args[0]))
			if err != nil {
				return err
			}
			desc := descriptionJSON{Topic: toTopicJSON(d.Topic), Owners: []ownerJSON{}}
			for _, p := range d.Partitions {
				desc.Owners = append(desc.Owners, ownerJSON{Partition: p.Partition, Owner: p.Owner, Address: p.Address})
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), desc)
			}
			// Where partitions can't be asked, the rest is worth showing all the same.
			offsets, offsetsErr := client.Offsets(ctx, d.Topic.Name)
			if err := desc.print(cmd.OutOrStdout(), offsets); err != nil {
				return err
			}
			if offsetsErr == nil {
				offsetsErr = firstFault(offsets)
			}
			if offsetsErr != nil {
				say(cmd, "some offsets are not known now: %s", oneLine(describe(offsetsErr)))
			}
			return nil
		})
	}
	return cmd
}

// print shows the topic, and of each partition what offsets say of it.
func (d descriptionJSON) print(w io.Writer, offsets []sdk.PartitionOffsets) error {
	err := writeFields(w,
		field{"topic", d.Topic.Name},
		field{"id", d.Topic.ID},
		field{"partitions", fmt.Sprint(d.Topic.Partitions)},
		field{"segments", fmt.Sprintf("rolled at %s, or after %s",
			humanBytes(d.Topic.SegmentBytes), age(time.Duration(d.Topic.SegmentMS)*time.Millisecond))},
		field{"retention", d.Topic.retention()},
		field{"durability", d.Topic.Durability},
		field{"survives", talos.Durability(d.Topic.Durability).Survives()})
	if err != nil {
		return err
	}
	known := make(map[int32]sdk.PartitionOffsets, len(offsets))
	for _, o := range offsets {
		if o.Err == nil {
			known[o.Partition] = o
		}
	}
	g := newGrid(right("PARTITION"), right("START"), right("END"), right("SIZE"), left("OWNER"), left("ADDRESS"))
	for _, p := range d.Owners {
		start, end, bytes := "-", "-", "-"
		if o, ok := known[p.Partition]; ok {
			start, end, bytes = fmt.Sprint(o.Range.Start), fmt.Sprint(o.Range.End), humanBytes(o.Bytes)
		}
		g.add(p.Partition, start, end, bytes, orDash(p.Owner), orDash(p.Address))
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return g.write(w)
}

// retention says what is kept of the records.
func (t topicJSON) retention() string {
	var limits []string
	if t.RetentionMS > 0 {
		limits = append(limits, "records of the last "+age(time.Duration(t.RetentionMS)*time.Millisecond))
	}
	if t.RetentionB > 0 {
		limits = append(limits, humanBytes(t.RetentionB)+" of each partition")
	}
	if len(limits) == 0 {
		return "records are kept for ever"
	}
	return strings.Join(limits, ", and at most ")
}
