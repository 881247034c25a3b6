package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

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
		Short: "Show a topic's settings and who serves its partitions",
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
			return desc.print(cmd.OutOrStdout())
		})
	}
	return cmd
}

func (d descriptionJSON) print(w io.Writer) error {
	err := table(w,
		"topic\t"+d.Topic.Name,
		"id\t"+d.Topic.ID,
		fmt.Sprintf("partitions\t%d", d.Topic.Partitions),
		fmt.Sprintf("segment bytes\t%d", d.Topic.SegmentBytes),
		fmt.Sprintf("segment ms\t%d", d.Topic.SegmentMS),
		"retention ms\t"+orForEver(d.Topic.RetentionMS),
		"retention bytes\t"+orForEver(d.Topic.RetentionB),
		"durability\t"+d.Topic.Durability,
		"survives\t"+talos.Durability(d.Topic.Durability).Survives(),
		"")
	if err != nil {
		return err
	}
	lines := []string{"PARTITION\tOWNER\tADDRESS"}
	for _, p := range d.Owners {
		lines = append(lines, fmt.Sprintf("%d\t%s\t%s", p.Partition, orDash(p.Owner), orDash(p.Address)))
	}
	return table(w, lines...)
}

func orForEver(n int64) string {
	if n == 0 {
		return "kept for ever"
	}
	return strconv.FormatInt(n, 10)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
