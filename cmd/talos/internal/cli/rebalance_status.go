package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// rebalanceJSON is what rebalance status -o json prints.
type rebalanceJSON struct {
	Moving    int             `json:"moving" doc:"partitions on their way from one node to another"`
	Misplaced int             `json:"misplaced" doc:"partitions that are not where an operator pinned them"`
	Planned   int             `json:"planned" doc:"partitions that would still move until every node has its share"`
	Moves     []underWayJSON  `json:"moves" doc:"those that are on their way, 1,000 at most"`
	Nodes     []nodeShareJSON `json:"nodes" doc:"the nodes, sorted by id"`
}

type underWayJSON struct {
	Topic     string `json:"topic" doc:"the topic's name"`
	Partition int32  `json:"partition" doc:"the partition's number, from 0 on"`
	From      string `json:"from" doc:"the node that has it"`
	To        string `json:"to" doc:"the node that gets it"`
	SinceMS   int64  `json:"since_ms" doc:"when the move began, in milliseconds since 1970"`
}

type nodeShareJSON struct {
	ID         string `json:"id" doc:"the node's id"`
	Partitions int    `json:"partitions" doc:"how many partitions it owns"`
	Incoming   int    `json:"incoming" doc:"partitions that are on their way to it"`
	Outgoing   int    `json:"outgoing" doc:"partitions that are on their way from it"`
}

func newRebalanceStatus(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which partitions move now, and how many still will",
		Args:  exactArgs(),
	}
	out := outputFlag(cmd, rebalanceJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			status, err := client.Cluster(ctx)
			if err != nil {
				return err
			}
			plan, err := client.PlanMoves(ctx)
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), toRebalanceJSON(status, plan))
			}
			return printRebalance(cmd.OutOrStdout(), status, plan)
		})
	}
	return cmd
}

func toRebalanceJSON(s sdk.ClusterStatus, plan sdk.MovePlan) rebalanceJSON {
	j := rebalanceJSON{Moving: s.Moving, Misplaced: s.Misplaced, Planned: len(plan.Moves) + plan.More, Moves: []underWayJSON{}, Nodes: []nodeShareJSON{}}
	for _, m := range s.Moves {
		j.Moves = append(j.Moves, underWayJSON{Topic: string(m.Topic), Partition: m.Partition, From: m.From, To: m.To, SinceMS: millis(m.Since)})
	}
	for _, n := range s.Nodes {
		j.Nodes = append(j.Nodes, nodeShareJSON{ID: n.ID, Partitions: n.Owned, Incoming: n.Incoming, Outgoing: n.Outgoing})
	}
	return j
}

func printRebalance(w io.Writer, s sdk.ClusterStatus, plan sdk.MovePlan) error {
	g := newGrid(left("NODE"), right("PARTITIONS"), right("IN"), right("OUT"), right("BYTES/S"))
	for _, n := range s.Nodes {
		g.add(n.ID, n.Owned, n.Incoming, n.Outgoing, humanBytes(int64(n.BytesPerSecond)))
	}
	if err := g.write(w); err != nil {
		return err
	}
	if len(s.Moves) > 0 {
		moves := newGrid(left("PARTITION"), left("FROM"), left("TO"), right("FOR"))
		for _, m := range s.Moves[:min(len(s.Moves), maxShownMoves)] {
			moves.add(fmt.Sprintf("%s/%d", m.Topic, m.Partition), m.From, m.To, since(s.At, m.Since))
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := moves.write(w); err != nil {
			return err
		}
	}
	words := "nothing moves, and every node has its share"
	if s.Moving > 0 || len(plan.Moves) > 0 {
		words = fmt.Sprintf("%s moving, %d still to begin (`talos rebalance plan` shows them)", isCount(s.Moving), len(plan.Moves)+plan.More)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", words)
	return err
}
