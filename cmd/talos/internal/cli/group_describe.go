package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// groupDescriptionJSON is what group describe -o json prints.
type groupDescriptionJSON struct {
	Group       string               `json:"group" doc:"the group's name"`
	State       string               `json:"state" doc:"empty, rebalancing or stable"`
	Members     int                  `json:"members" doc:"its members"`
	Epoch       int32                `json:"epoch" doc:"grows with each change of who should read what"`
	Coordinator string               `json:"coordinator" doc:"the id of the node that coordinates it now"`
	Address     string               `json:"address" doc:"host:port of that node"`
	Lag         int64                `json:"lag" doc:"the sum over partitions"`
	MemberList  []groupMemberJSON    `json:"member_list" doc:"the members, sorted by id"`
	Partitions  []groupPartitionJSON `json:"partitions" doc:"all of each topic that has a committed offset or a reader, sorted"`
}

type groupMemberJSON struct {
	ID       string `json:"id" doc:"the member's id, new for each life of it"`
	Instance string `json:"instance" doc:"its instance id, or empty"`
	Client   string `json:"client" doc:"what it calls itself, or empty"`
	Host     string `json:"host" doc:"where its last heartbeat came from"`
	Assigned int    `json:"assigned" doc:"partitions that it reads, or has not given up yet"`
	Target   int    `json:"target" doc:"partitions that it is to have"`
	Heard    string `json:"heard" doc:"when it was heard last, by the coordinator's clock"`
	Away     bool   `json:"away" doc:"true if its partitions wait for the next member of its instance id"`
}

type groupPartitionJSON struct {
	Topic     string `json:"topic" doc:"the topic's name"`
	Partition int32  `json:"partition" doc:"the partition's number"`
	Committed int64  `json:"committed" doc:"the next offset to read; -1 if none is committed"`
	End       int64  `json:"end" doc:"the offset that the next record gets; -1 if it can't be asked"`
	Lag       int64  `json:"lag" doc:"records from committed to the end, from the start of the partition if nothing is committed; -1 if not known"`
	Member    string `json:"member" doc:"the id of the member that reads it, or empty"`
	Metadata  string `json:"metadata" doc:"what was committed with the offset"`
}

func newGroupDescribe(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe GROUP",
		Short: "Show a group's members, committed offsets and lag",
		Long: `Show who the members of a group are, what each reads, and how far the group is
in each partition: LAG are the records that are not processed yet, as far as
members have committed.`,
		Args: exactArgs("a group"),
	}
	out := outputFlag(cmd, groupDescriptionJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			d, err := client.DescribeGroup(ctx, args[0])
			if err != nil {
				return err
			}
			ends, err := offsetsOf(ctx, client, topicsOf(d))
			if err != nil {
				return err
			}
			j := describeGroup(d, ends)
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), j)
			}
			return j.print(cmd.OutOrStdout())
		})
	}
	return cmd
}

// topicsOf are those that a group has committed offsets of, or reads.
func topicsOf(d sdk.GroupDescription) []talos.TopicName {
	var topics []talos.TopicName
	for _, o := range d.Offsets {
		topics = append(topics, o.Topic)
	}
	for _, m := range d.MemberList {
		for _, p := range m.Assigned {
			topics = append(topics, p.Topic)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// offsetsOf asks for the partitions of topics; those of topics that are gone, or that
// can't be asked, are not in it.
func offsetsOf(ctx context.Context, client *sdk.Client, topics []talos.TopicName) (map[sdk.GroupPartition]sdk.PartitionOffsets, error) {
	all := make(map[sdk.GroupPartition]sdk.PartitionOffsets)
	for _, topic := range topics {
		found, err := client.Offsets(ctx, topic)
		if err != nil && talos.KindOf(err) != talos.UnknownTopic {
			return nil, err
		}
		for _, p := range found {
			if p.Err == nil {
				all[sdk.GroupPartition{Topic: topic, Partition: p.Partition}] = p
			}
		}
	}
	return all, nil
}

// everyPartition are the committed offsets, and -1 for partitions that have none but
// are read, or will be: they belong to a topic that is.
func everyPartition(d sdk.GroupDescription, ends map[sdk.GroupPartition]sdk.PartitionOffsets) []sdk.GroupOffset {
	all := make(map[sdk.GroupPartition]sdk.GroupOffset)
	none := func(p sdk.GroupPartition) { all[p] = sdk.GroupOffset{GroupPartition: p, Offset: -1} }
	for p := range ends {
		none(p)
	}
	for _, m := range d.MemberList {
		for _, p := range m.Assigned {
			none(p)
		}
	}
	for _, o := range d.Offsets {
		all[o.GroupPartition] = o
	}
	return slices.SortedFunc(maps.Values(all), func(a, b sdk.GroupOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

func describeGroup(d sdk.GroupDescription, ends map[sdk.GroupPartition]sdk.PartitionOffsets) groupDescriptionJSON {
	j := groupDescriptionJSON{
		Group: d.Name, State: string(d.State), Members: d.Members, Epoch: d.Epoch, Coordinator: d.Node, Address: d.Address,
		MemberList: []groupMemberJSON{}, Partitions: []groupPartitionJSON{},
	}
	reader := make(map[sdk.GroupPartition]string)
	for _, m := range d.MemberList {
		for _, p := range m.Assigned {
			reader[p] = m.ID
		}
		j.MemberList = append(j.MemberList, groupMemberJSON{
			ID: m.ID, Instance: m.Instance, Client: m.ClientID, Host: m.Host, Assigned: len(m.Assigned), Target: len(m.Target),
			Heard: m.Heard.UTC().Format(time.RFC3339), Away: m.Away,
		})
	}
	for _, o := range everyPartition(d, ends) {
		p := groupPartitionJSON{
			Topic: string(o.Topic), Partition: o.Partition, Committed: int64(o.Offset), End: -1, Lag: -1,
			Member: reader[o.GroupPartition], Metadata: o.Metadata,
		}
		if end, ok := ends[o.GroupPartition]; ok {
			p.End = int64(end.Range.End)
			p.Lag = max(0, p.End-max(p.Committed, int64(end.Range.Start)))
			j.Lag += p.Lag
		}
		j.Partitions = append(j.Partitions, p)
	}
	return j
}

func (j groupDescriptionJSON) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "group        %s\nstate        %s\ncoordinator  %s (%s)\nlag          %s\n\n",
		j.Group, j.State, j.Coordinator, j.Address, count(j.Lag, "record"))
	if err != nil {
		return err
	}
	if len(j.MemberList) > 0 {
		g := newGrid(left("MEMBER"), left("INSTANCE"), left("CLIENT"), left("HOST"), right("READS"), right("SHARE"), left("HEARD"))
		for _, m := range j.MemberList {
			heard := m.Heard
			if m.Away {
				heard = "away"
			}
			g.add(m.ID, orDash(m.Instance), orDash(m.Client), orDash(m.Host), m.Assigned, m.Target, heard)
		}
		if err := g.write(w); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	g := newGrid(left("TOPIC"), right("PARTITION"), right("COMMITTED"), right("END"), right("LAG"), left("MEMBER"))
	for _, p := range j.Partitions {
		g.add(p.Topic, p.Partition, known(p.Committed), known(p.End), known(p.Lag), orDash(p.Member))
	}
	return g.write(w)
}

// known is a number that is not there if it is negative.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
