package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// groupResetJSON is one partition as group reset -o json prints it.
type groupResetJSON struct {
	Group     string `json:"group" doc:"the group's name"`
	Topic     string `json:"topic" doc:"the topic's name"`
	Partition int32  `json:"partition" doc:"the partition's number"`
	Before    int64  `json:"before" doc:"the committed offset; -1 if there is none"`
	After     int64  `json:"after" doc:"what it is to be, or is with --yes"`
	Done      bool   `json:"done" doc:"true if it was committed"`
}

func newGroupReset(s *settings) *cobra.Command {
	var (
		topic, to string
		partition int32
		yes       bool
	)
	cmd := &cobra.Command{
		Use:   "reset GROUP",
		Short: "Set where a group without members goes on in a topic",
		Long: `Set where a group goes on in the partitions of a topic. The group may have no
members, and need not exist yet. Without --yes nothing is changed: what would be
is printed.

Where to, in each partition:
  earliest, latest      the oldest record; behind the newest one
  1234                  an offset, within what there is
  2026-11-25T14:30:00Z  the first batch that a node took at this time or later; a
                        date, and a time without a zone, are local
  -15m, -36h, -7d       the same, counted from now`,
		Example: `  talos group reset billing --topic orders --to earliest
  talos group reset billing --topic orders --partition 3 --to -1h --yes`,
		Args: exactArgs("a group"),
	}
	cmd.Flags().StringVar(&topic, "topic", "", "the `TOPIC` whose offsets are set")
	cmd.Flags().StringVar(&to, "to", "", "go on at `PLACE`: see above")
	partitionFlag(cmd, &partition, "set partition `N` only (default all)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it, rather than only say what would be done")
	out := outputFlag(cmd, groupResetJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPartition(cmd, &partition); err != nil {
			return err
		}
		if topic == "" || to == "" {
			return &usageError{text: "it wants --topic and --to", hint: seeHelp(cmd)}
		}
		where, err := parsePlace(to, time.Now())
		if err != nil {
			return &usageError{text: fmt.Sprintf("--to %q: %v, or earliest, or latest", to, err), hint: seeHelp(cmd)}
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			r := resetting{client: client, group: args[0], topic: talos.TopicName(topic), partition: partition, to: where}
			changes, err := r.plan(ctx)
			if err != nil {
				return err
			}
			if yes {
				if err := client.CommitGroupOffsets(ctx, r.group, changes...); err != nil {
					return err
				}
			}
			return r.tell(cmd, *out, changes, yes)
		})
	}
	return cmd
}

// resetting is one run of the command.
type resetting struct {
	client    *sdk.Client
	group     string
	topic     talos.TopicName
	partition int32 // or allPartitions
	to        place
	before    map[int32]talos.Offset
}

// plan tells the offsets that are to be committed.
func (r *resetting) plan(ctx context.Context) ([]sdk.GroupOffset, error) {
	d, err := r.client.Describe(ctx, r.topic)
	if err != nil {
		return nil, err
	}
	committed, err := r.client.GroupOffsets(ctx, r.group)
	if err != nil {
		return nil, err
	}
	r.before = make(map[int32]talos.Offset)
	for _, o := range committed {
		if o.TopicID == d.Topic.ID {
			r.before[o.Partition] = o.Offset
		}
	}
	at := time.Time{}
	if r.to.kind == atTime {
		at = r.to.time
	}
	found, err := r.client.OffsetsAt(ctx, r.topic, at)
	if err != nil {
		return nil, err
	}
	var changes []sdk.GroupOffset
	for _, o := range found {
		if r.partition != allPartitions && o.Partition != r.partition {
			continue
		}
		if o.Err != nil {
			return nil, fmt.Errorf("partition %d: %w", o.Partition, o.Err)
		}
		offset, err := r.offset(o)
		if err != nil {
			return nil, err
		}
		changes = append(changes, sdk.GroupOffset{
			GroupPartition: sdk.GroupPartition{Topic: r.topic, Partition: o.Partition}, TopicID: d.Topic.ID, Offset: offset,
		})
	}
	if len(changes) == 0 {
		return nil, &talos.Error{
			Kind: talos.UnknownPartition, Subject: fmt.Sprintf("%s/%d", r.topic, r.partition), Detail: fmt.Sprintf("the topic has %d", d.Topic.Partitions),
		}
	}
	return changes, nil
}

// offset is what the place means in a partition.
func (r *resetting) offset(o sdk.PartitionOffsets) (talos.Offset, error) {
	switch r.to.kind {
	case atEarliest:
		return o.Range.Start, nil
	case atLatest:
		return o.Range.End, nil
	case atTime:
		return o.AtTime, nil
	}
	if r.to.offset < o.Range.Start || r.to.offset > o.Range.End {
		rng := o.Range
		return 0, &talos.Error{
			Kind: talos.OffsetOutOfRange, Subject: fmt.Sprintf("%s/%d", r.topic, o.Partition), Range: &rng,
			Detail: fmt.Sprintf("offset %d was asked for", r.to.offset),
		}
	}
	return r.to.offset, nil
}

func (r *resetting) tell(cmd *cobra.Command, f format, changes []sdk.GroupOffset, done bool) error {
	g := newGrid(left("TOPIC"), right("PARTITION"), right("BEFORE"), right("AFTER"))
	for _, c := range changes {
		before, ok := r.before[c.Partition]
		if !ok {
			before = -1
		}
		if f == formatJSON {
			err := printJSON(cmd.OutOrStdout(), groupResetJSON{
				Group: r.group, Topic: string(c.Topic), Partition: c.Partition, Before: int64(before), After: int64(c.Offset), Done: done,
			})
			if err != nil {
				return err
			}
			continue
		}
		g.add(string(c.Topic), c.Partition, known(int64(before)), int64(c.Offset))
	}
	if f == formatJSON {
		return nil
	}
	if err := g.write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !done {
		say(cmd, "nothing was changed; --yes does it")
	}
	return nil
}
