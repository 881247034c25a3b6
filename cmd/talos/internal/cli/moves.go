package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/talos-log/talos/sdk"
)

// moveJSON is one line of a plan: what rebalance plan -o json prints, and what
// rebalance apply -f takes.
type moveJSON struct {
	Topic     string `json:"topic" doc:"the topic's name"`
	Partition int32  `json:"partition" doc:"the partition's number, from 0 on"`
	From      string `json:"from" doc:"the node that has it; empty for nobody"`
	To        string `json:"to" doc:"the node that gets it"`
	Reason    string `json:"reason" doc:"why, for people"`
	// BytesPerSecond is what it takes.
	BytesPerSecond float64 `json:"bytes_per_second" doc:"what it took lately; 0 if it is not among its node's hottest"`
}

func toMoveJSON(m sdk.PlannedMove) moveJSON {
	return moveJSON{
		Topic: string(m.Topic), Partition: m.Partition, From: m.From, To: m.To, Reason: m.Reason, BytesPerSecond: m.BytesPerSecond,
	}
}

// maxShownMoves bounds the lines of a plan on a screen; -o json has them all.
const maxShownMoves = 40

// printPlan shows what moves, from where to where and why, and what that costs.
func printPlan(w io.Writer, plan sdk.MovePlan) error {
	if len(plan.Moves) == 0 {
		_, err := io.WriteString(w, "nothing to move\n")
		return err
	}
	shown := plan.Moves[:min(len(plan.Moves), maxShownMoves)]
	g := newGrid(left("PARTITION"), left("FROM"), left("TO"), right("BYTES/S"), left("WHY"))
	for _, m := range shown {
		g.add(fmt.Sprintf("%s/%d", m.Topic, m.Partition), orDash(m.From), m.To, humanBytes(int64(m.BytesPerSecond)), m.Reason)
	}
	if err := g.write(w); err != nil {
		return err
	}
	if more := len(plan.Moves) - len(shown) + plan.More; more > 0 {
		shows := "all"
		if plan.More > 0 {
			shows = strconv.Itoa(len(plan.Moves))
		}
		if _, err := fmt.Fprintf(w, "and %d more (`talos rebalance plan -o json` shows %s)\n", more, shows); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	if err := balanceGrid(plan.Moves).write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s to move%s\n", count(len(plan.Moves)+plan.More, "partition"), pauseWords(plan))
	return err
}

// pauseWords say what a move costs.
func pauseWords(plan sdk.MovePlan) string {
	if plan.Pause <= 0 {
		return ""
	}
	words := fmt.Sprintf("; each takes no records for about %s", plan.Pause.Round(time.Millisecond))
	if plan.AtOnce > 0 {
		words += fmt.Sprintf(", at most %d at a time", plan.AtOnce)
	}
	return words
}

// balanceGrid sums a plan up by node.
func balanceGrid(moves []sdk.PlannedMove) *grid {
	type sum struct{ gets, gives int }
	sums := make(map[string]*sum)
	of := func(node string) *sum {
		if sums[node] == nil {
			sums[node] = &sum{}
		}
		return sums[node]
	}
	for _, m := range moves {
		of(m.To).gets++
		if m.From != "" {
			of(m.From).gives++
		}
	}
	nodes := make([]string, 0, len(sums))
	for node := range sums {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	g := newGrid(left("NODE"), right("GETS"), right("GIVES"))
	for _, node := range nodes {
		g.add(node, sums[node].gets, sums[node].gives)
	}
	return g
}

// sortMoves makes the order of a plan that of its partitions.
func sortMoves(moves []sdk.PlannedMove) {
	slices.SortStableFunc(moves, func(a, b sdk.PlannedMove) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}
