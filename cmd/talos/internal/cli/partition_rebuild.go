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

// rebuildJSON is what partition rebuild -o json prints for each partition.
type rebuildJSON struct {
	Topic     string         `json:"topic" doc:"the topic's name"`
	Partition int32          `json:"partition" doc:"the partition's number, from 0 on"`
	State     string         `json:"state" doc:"serves, correct, planned, rebuilt, or failed"`
	Before    etcdRecordJSON `json:"before" doc:"the record in etcd; zero unless planned or rebuilt"`
	After     etcdRecordJSON `json:"after" doc:"the record that follows from the segments"`
	Segments  int            `json:"segments" doc:"segments that are part of the log then"`
	Oldest    string         `json:"oldest" doc:"the oldest of them"`
	Newest    string         `json:"newest" doc:"the newest of them"`
	Left      int            `json:"left" doc:"segments in the folder that are not part of the log then"`
	Error     string         `json:"error" doc:"why it failed, or empty"`
}

type etcdRecordJSON struct {
	Epoch       int32 `json:"epoch" doc:"the newest ownership"`
	Tail        int64 `json:"tail" doc:"the number of the newest segment"`
	StartNumber int64 `json:"start_number" doc:"the number of the oldest segment"`
	StartOffset int64 `json:"start_offset" doc:"the first offset that can be read"`
}

func toEtcdRecordJSON(r talos.PartitionRecord) etcdRecordJSON {
	return etcdRecordJSON{
		Epoch: int32(r.Epoch), Tail: int64(r.Tail), StartNumber: int64(r.Start.Number), StartOffset: int64(r.Start.Offset),
	}
}

func newPartitionRebuild(s *settings) *cobra.Command {
	var (
		partition int32
		yes       bool
	)
	cmd := &cobra.Command{
		Use:   "rebuild TOPIC",
		Short: "Derive what etcd must say of partitions from their segments",
		Long: `Derive what etcd must say of partitions from their segments in the store.

After etcd was restored from an old copy, partitions that went on since refuse
to serve (RestoredRecord). This looks into their folders, and says which record
follows. With --yes that record is put in place, and the partition can be opened
again, with everything that was acknowledged. Nothing in the store is changed or
removed. A partition that serves is left alone. Where records would become
unreachable, it refuses (BrokenChain).`,
		Example: `  talos partition rebuild logs
  talos partition rebuild logs --partition 3 --yes`,
		Args: exactArgs("a topic"),
	}
	partitionFlag(cmd, &partition, "rebuild partition `N` only (default all)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it, rather than only say what would be done")
	out := outputFlag(cmd, rebuildJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPartition(cmd, &partition); err != nil {
			return err
		}
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			r := rebuilding{client: client, topic: talos.TopicName(args[0]), yes: yes, out: cmd.OutOrStdout(), format: *out}
			if partition != allPartitions {
				return r.one(ctx, partition)
			}
			d, err := client.Describe(ctx, r.topic)
			if err != nil {
				return err
			}
			var first error
			for number := range d.Topic.Partitions {
				if err := r.one(ctx, number); err != nil && first == nil {
					first = err
				}
			}
			return first
		})
	}
	return cmd
}

// rebuilding is one run of the command.
type rebuilding struct {
	client *sdk.Client
	topic  talos.TopicName
	yes    bool
	out    io.Writer
	format format
}

// one plans, tells, and acts on one partition.
func (r *rebuilding) one(ctx context.Context, number int32) error {
	plan, err := r.client.PlanRebuild(ctx, r.topic, number)
	line := rebuildJSON{Topic: string(r.topic), Partition: number, State: "planned"}
	switch {
	case errors.Is(err, talos.InvalidRequest):
		line.State, err = "serves", nil
	case err != nil:
		line.State, line.Error = "failed", err.Error()
	case plan.Before == plan.After:
		line.State = "correct"
	}
	if err == nil {
		line.Before, line.After = toEtcdRecordJSON(plan.Before), toEtcdRecordJSON(plan.After)
		line.Segments, line.Oldest, line.Newest, line.Left = plan.Segments, plan.Oldest, plan.Newest, plan.Left
	}
	if line.State == "planned" && r.yes {
		if r.format != formatJSON {
			if err := line.print(r.out, plan); err != nil {
				return err
			}
		}
		if _, err = r.client.ApplyRebuild(ctx, r.topic, number, plan); err != nil {
			line.State, line.Error = "failed", err.Error()
		} else {
			line.State = "rebuilt"
		}
	}
	return errors.Join(err, r.tell(line, plan))
}

func (r *rebuilding) tell(line rebuildJSON, plan sdk.Rebuild) error {
	if r.format == formatJSON {
		return printJSON(r.out, line)
	}
	return line.print(r.out, plan)
}

func (j rebuildJSON) print(w io.Writer, plan sdk.Rebuild) error {
	var err error
	name := fmt.Sprintf("%s/%d", j.Topic, j.Partition)
	switch j.State {
	case "serves":
		_, err = fmt.Fprintf(w, "%s: it serves, nothing to do\n", name)
	case "correct":
		_, err = fmt.Fprintf(w, "%s: its record is what its segments say, nothing to do\n", name)
	case "planned":
		_, err = fmt.Fprintf(w, "%s:\n  etcd says            %v\n  the segments say     %v\n  part of the log      %d, %s to %s\n  not part of it       %d\n",
			name, plan.Before, plan.After, j.Segments, j.Oldest, j.Newest, j.Left)
	case "rebuilt":
		_, err = fmt.Fprintf(w, "%s: rebuilt\n", name)
	}
	return err
}
