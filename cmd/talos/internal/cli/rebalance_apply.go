package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// appliedJSON is what rebalance apply -o json prints for each partition.
type appliedJSON struct {
	Topic     string `json:"topic" doc:"the topic's name"`
	Partition int32  `json:"partition" doc:"the partition's number, from 0 on"`
	From      string `json:"from" doc:"the node that had it by the plan"`
	To        string `json:"to" doc:"the node that has it now"`
	State     string `json:"state" doc:"moved, or there, if it was there already"`
}

// applying is one run of rebalance apply.
type applying struct {
	s      *settings
	file   string
	keep   bool
	format *format
}

func newRebalanceApply(s *settings) *cobra.Command {
	a := applying{s: s}
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Move partitions as planned, and show how far that is",
		Long: `Move partitions as ` + "`talos rebalance plan`" + ` says now, or as a file says. It shows the
plan, and waits until all are where they should be.

The file has one JSON object per line, as ` + "`talos rebalance plan -o json`" + ` prints them;
only topic, partition and to are needed. Lines may be changed or left out. A
partition that is there already is passed over. Nothing moves if a line names a
topic, a partition or a node that is not there, or a node that drains or can't do
its work.

A node that begins to drain meanwhile ends it: what moves to other nodes gets there,
no others begin, and it says which partitions are not where they should be.

It can be stopped at any time: partitions that are on their way get there, no
others begin, and the same command goes on where this one ended. A layout that
gives some nodes more than others stays only with --pin.`,
		Example: `  talos rebalance apply
  talos rebalance plan -o json > moves.json
  talos rebalance apply -f moves.json`,
		Args: exactArgs(),
	}
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "take the plan from `FILE`; - is standard input")
	cmd.Flags().BoolVar(&a.keep, "pin", false, "keep the partitions there until they are unpinned")
	a.format = outputFlag(cmd, appliedJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withPatientClient(cmd, func(ctx context.Context, client *sdk.Client) error { return a.run(ctx, cmd, client) })
	}
	return cmd
}

func (a *applying) run(ctx context.Context, cmd *cobra.Command, client *sdk.Client) error {
	plan, err := a.plan(ctx, cmd, client)
	if err != nil {
		return err
	}
	if *a.format != formatJSON {
		if err := printPlan(cmd.OutOrStdout(), plan); err != nil {
			return err
		}
	}
	bar := startMeter(progressOn(cmd), "moves", int64(len(plan.Moves)))
	c := carrier{s: a.s, client: client, keep: a.keep, done: func(m sdk.PlannedMove, moved bool) error {
		bar.add(1)
		if *a.format != formatJSON {
			return nil
		}
		line := appliedJSON{Topic: string(m.Topic), Partition: m.Partition, From: m.From, To: m.To, State: "there"}
		if moved {
			line.State = "moved"
		}
		return printJSON(cmd.OutOrStdout(), line)
	}}
	err = c.carry(ctx, plan.Moves)
	bar.end()
	again := "talos rebalance apply"
	if a.file != "" {
		again += " -f " + a.file
	}
	switch {
	case ctx.Err() != nil:
		return stoppedError(fmt.Sprintf("stopped after %d of %s; those on their way get there, no others begin",
			len(c.carried), count(len(plan.Moves), "partition")), "go on with `"+again+"`")
	case err != nil:
		a.tellUndone(cmd, &c, plan.Moves, again)
		return err
	case plan.More > 0:
		say(cmd, "%s where they should be, %d more are not; go on with `%s`", isCount(len(c.carried)), plan.More, again)
	case len(plan.Moves) > 0:
		say(cmd, "%s where they should be", isCount(len(c.carried)))
	}
	return nil
}

// tellUndone says what an error has left.
func (a *applying) tellUndone(cmd *cobra.Command, c *carrier, moves []sdk.PlannedMove, again string) {
	if !c.asked {
		say(cmd, "nothing was moved")
		return
	}
	left := c.undone(moves)
	if left != "" {
		left = ", not " + left
	}
	say(cmd, "%d of %s done%s; go on with `%s`", len(c.carried), count(len(moves), "partition"), left, again)
	if a.keep {
		say(cmd, "what was asked for stays pinned: `talos partition describe TOPIC` shows the pins")
	}
}

func (a *applying) plan(ctx context.Context, cmd *cobra.Command, client *sdk.Client) (sdk.MovePlan, error) {
	now, err := within(ctx, a.s, func(ctx context.Context) (sdk.MovePlan, error) { return client.PlanMoves(ctx) })
	if err != nil {
		return sdk.MovePlan{}, err
	}
	if a.file == "" {
		sortMoves(now.Moves)
		return now, nil
	}
	in := cmd.InOrStdin()
	if a.file != "-" {
		file, err := os.Open(a.file)
		if err != nil {
			return sdk.MovePlan{}, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	status, err := within(ctx, a.s, client.Cluster)
	if err != nil {
		return sdk.MovePlan{}, err
	}
	now.More = 0
	now.Moves, err = readMoves(in, status.Nodes)
	return now, err
}

// maxPlanLine bounds a line of a plan file, in bytes.
const maxPlanLine = 64 << 10

// readMoves reads a plan file. It refuses moves to nodes that get nothing, before
// anything has moved.
func readMoves(in io.Reader, nodes []sdk.NodeStatus) ([]sdk.PlannedMove, error) {
	var moves []sdk.PlannedMove
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxPlanLine)
	for number := 1; scanner.Scan(); number++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		line := moveJSON{Partition: -1}
		fault := json.Unmarshal(scanner.Bytes(), &line)
		if fault == nil && (line.Topic == "" || line.To == "" || line.Partition < 0) {
			fault = fmt.Errorf("want at least topic, partition and to")
		}
		if fault != nil {
			return nil, &hintedError{
				error: &talos.Error{Kind: talos.InvalidRequest, Op: "cli.readMoves", Detail: fmt.Sprintf("line %d of the plan can't be used", number), Cause: fault},
				hint:  `a line is like {"topic":"logs","partition":3,"to":"node-2"}: see ` + "`talos rebalance plan -o json`",
			}
		}
		move := sdk.PlannedMove{
			Topic: talos.TopicName(line.Topic), Partition: line.Partition, From: line.From, To: line.To,
			Reason: line.Reason, BytesPerSecond: line.BytesPerSecond,
		}
		if err := mayTake(nodes, move, fmt.Sprintf("line %d of the plan", number)); err != nil {
			return nil, err
		}
		moves = append(moves, move)
	}
	return moves, scanner.Err()
}
