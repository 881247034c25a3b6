package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// drainJSON is what node drain -o json prints at its end.
type drainJSON struct {
	Node  string     `json:"node" doc:"the node's id"`
	State string     `json:"state" doc:"planned, draining, or drained"`
	Left  int        `json:"left" doc:"partitions that it still owns"`
	Moves []moveJSON `json:"moves" doc:"what was planned to move, as rebalance plan prints it"`
}

// draining is one run of node drain.
type draining struct {
	s      *settings
	node   string
	dryRun bool
	noWait bool
	format *format
}

func newNodeDrain(s *settings) *cobra.Command {
	d := draining{s: s}
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Make a node hand over what it owns, and get nothing",
		Long: `Make a node hand over what it owns, a few partitions at a time, and get nothing
until ` + "`talos node uncordon`" + `.

It shows what will move, begins, and waits until the node owns nothing. Stopped
before that, the node goes on; the same command waits again. A node drains by
itself when it is ended with SIGTERM: use this to keep it empty, or to see first.`,
		Example: `  talos node drain node-2 --dry-run
  talos node drain node-2`,
		Args: exactArgs("a node"),
	}
	cmd.Flags().BoolVar(&d.dryRun, "dry-run", false, "only show what would move")
	cmd.Flags().BoolVar(&d.noWait, "no-wait", false, "begin, and do not wait")
	d.format = outputFlag(cmd, drainJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d.node = args[0]
		return s.withPatientClient(cmd, func(ctx context.Context, client *sdk.Client) error { return d.run(ctx, cmd, client) })
	}
	return cmd
}

func (d *draining) run(ctx context.Context, cmd *cobra.Command, client *sdk.Client) error {
	plan, err := within(ctx, d.s, func(ctx context.Context) (sdk.MovePlan, error) { return client.PlanMoves(ctx, d.node) })
	if err != nil {
		return err
	}
	sortMoves(plan.Moves)
	if *d.format != formatJSON {
		if err := printPlan(cmd.OutOrStdout(), plan); err != nil {
			return err
		}
	}
	result := drainJSON{Node: d.node, State: "planned", Moves: []moveJSON{}}
	for _, m := range plan.Moves {
		result.Moves = append(result.Moves, toMoveJSON(m))
	}
	// Not the number of moves: what nobody can take stays.
	if result.Left, err = within(ctx, d.s, func(ctx context.Context) (int, error) { return d.owned(ctx, client) }); err != nil {
		return err
	}
	if d.dryRun {
		return d.tell(cmd, result)
	}
	if _, err := within(ctx, d.s, func(ctx context.Context) (struct{}, error) { return struct{}{}, client.Drain(ctx, d.node) }); err != nil {
		if ctx.Err() != nil {
			return d.stopped(result.Left, "may hand over already")
		}
		return err
	}
	result.State = "draining"
	if !d.noWait {
		if err := d.wait(ctx, cmd, client, &result); err != nil {
			return err
		}
	}
	return d.tell(cmd, result)
}

// wait waits until the node owns nothing.
func (d *draining) wait(ctx context.Context, cmd *cobra.Command, client *sdk.Client, result *drainJSON) error {
	bar := startMeter(progressOn(cmd), d.node, int64(result.Left))
	defer bar.end()
	left := result.Left
	err := d.s.watched(ctx, func(ctx context.Context) (bool, error) {
		owned, err := d.owned(ctx, client)
		if err != nil {
			return false, err
		}
		bar.add(int64(left - owned))
		left = owned
		return owned == 0, nil
	})
	result.Left = left
	switch {
	case ctx.Err() != nil:
		return d.stopped(left, "goes on handing over")
	case err != nil:
		return err
	}
	result.State = "drained"
	return nil
}

// stopped is the error of a command that was stopped.
func (d *draining) stopped(left int, state string) error {
	return stoppedError(fmt.Sprintf("%s still owns %s, and %s", d.node, count(left, "partition"), state),
		fmt.Sprintf("wait again with `talos node drain %s`, take it back with `talos node uncordon %s`", d.node, d.node))
}

// owned is how many partitions the node has, or is about to get.
func (d *draining) owned(ctx context.Context, client *sdk.Client) (int, error) {
	status, err := client.Cluster(ctx)
	for _, n := range status.Nodes {
		if n.ID == d.node {
			return n.Owned + n.Incoming, err
		}
	}
	return 0, err
}

func (d *draining) tell(cmd *cobra.Command, result drainJSON) error {
	if *d.format == formatJSON {
		return printJSON(cmd.OutOrStdout(), result)
	}
	switch result.State {
	case "planned":
		say(cmd, "nothing was changed: it was asked for with --dry-run")
	case "draining":
		say(cmd, "%s drains; `talos cluster status` shows when it is done", d.node)
	default:
		say(cmd, "%s owns nothing any more and can be stopped; `talos node uncordon %s` takes it back", d.node, d.node)
	}
	return nil
}
