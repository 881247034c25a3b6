package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// clusterJSON is what cluster status -o json prints.
type clusterJSON struct {
	ID         string       `json:"id" doc:"the cluster's id"`
	State      string       `json:"state" doc:"well; busy, if what is not well ends by itself; or trouble, if somebody must act"`
	Scheduler  string       `json:"scheduler" doc:"the id of the node that plans; empty if there is none now"`
	Topics     int          `json:"topics" doc:"how many topics there are"`
	Partitions int          `json:"partitions" doc:"and their partitions"`
	Orphans    int          `json:"orphans" doc:"partitions whose owner is gone"`
	Held       int          `json:"held" doc:"partitions whose owner is away for a restart"`
	Moving     int          `json:"moving" doc:"partitions on their way from one node to another"`
	Pinned     int          `json:"pinned" doc:"partitions that are pinned to a node"`
	Misplaced  int          `json:"misplaced" doc:"those of them that are elsewhere"`
	Nodes      []nodeJSON   `json:"nodes" doc:"the nodes, sorted by id; as node list prints them"`
	Remarks    []remarkJSON `json:"remarks" doc:"what is not as usual, the worst first"`
}

type remarkJSON struct {
	State string `json:"state" doc:"well, busy or trouble"`
	What  string `json:"what" doc:"what it is, for people"`
	ToDo  string `json:"to_do" doc:"what to do about it, for people"`
}

func newClusterStatus(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show on one screen whether all is well, and if not, what to do",
		Long: `Show on one screen whether all is well, and if not, what to do.

It is how one node sees the cluster; it may lag behind for a moment.`,
		Args: exactArgs(),
	}
	out := outputFlag(cmd, clusterJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
			status, err := client.Cluster(ctx)
			if err != nil {
				return err
			}
			if *out == formatJSON {
				return printJSON(cmd.OutOrStdout(), toClusterJSON(status))
			}
			return printCluster(cmd.OutOrStdout(), status)
		})
	}
	return cmd
}

func toClusterJSON(s sdk.ClusterStatus) clusterJSON {
	remarks := remarksOf(s)
	j := clusterJSON{
		ID: s.ID, State: worst(remarks).String(), Scheduler: s.Scheduler, Topics: s.Topics, Partitions: s.Partitions,
		Orphans: s.Orphans, Held: s.Held, Moving: s.Moving, Pinned: s.Pinned, Misplaced: s.Misplaced,
		Nodes: []nodeJSON{}, Remarks: []remarkJSON{},
	}
	for _, n := range s.Nodes {
		j.Nodes = append(j.Nodes, toNodeJSON(n))
	}
	for _, f := range remarks {
		j.Remarks = append(j.Remarks, remarkJSON{State: f.state.String(), What: f.what, ToDo: f.toDo})
	}
	return j
}

// printCluster is the one screen.
func printCluster(w io.Writer, s sdk.ClusterStatus) error {
	remarks := remarksOf(s)
	p := paletteFor(w)
	words := map[condition]string{
		well:    p.paint("all is well", text.Bold, text.FgGreen),
		busy:    p.paint("changing; it ends by itself", text.Bold, text.FgYellow),
		trouble: p.paint("somebody must act", text.Bold, text.FgRed),
	}
	if err := writeFields(w,
		field{"state", words[worst(remarks)]},
		field{"cluster", s.ID},
		field{"scheduler", orDash(s.Scheduler)},
		field{"partitions", partitionsLine(s)},
	); err != nil {
		return err
	}
	var b strings.Builder
	if len(remarks) > 0 {
		b.WriteString("\n" + renderRemarks(p, screenWidth(w), remarks))
	}
	b.WriteString("\n" + nodeGrid(s.Nodes, s.At).render(p))
	_, err := io.WriteString(w, b.String())
	return err
}

// renderRemarks prints each with what to do below it.
func renderRemarks(p palette, width int, remarks []remark) string {
	const indent = "  "
	colors := map[condition]text.Color{well: text.FgGreen, busy: text.FgYellow, trouble: text.FgRed}
	wrapped := func(s, first string) string {
		lines := strings.Split(text.WrapSoft(s, max(width-2*len(indent), minWrap)), "\n")
		var b strings.Builder
		for i, line := range lines {
			if i > 0 {
				first = indent + indent
			}
			b.WriteString(first + strings.TrimRight(line, " ") + "\n")
		}
		return b.String()
	}
	var b strings.Builder
	for _, f := range remarks {
		b.WriteString(wrapped(f.what, p.paint("*", text.Bold, colors[f.state])+" "))
		if f.toDo != "" {
			b.WriteString(wrapped(f.toDo, indent+indent))
		}
	}
	return b.String()
}

func partitionsLine(s sdk.ClusterStatus) string {
	line := fmt.Sprintf("%d in %s", s.Partitions, count(s.Topics, "topic"))
	for _, part := range []struct {
		n    int
		word string
	}{
		{s.Orphans, "without an owner"},
		{s.Held, "waiting for a restart"},
		{s.Moving, "moving"},
		{s.Pinned, "pinned"},
	} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return line
}

// since writes how long ago something was, and until how long it takes, both to
// the second.
func since(now, then time.Time) string { return max(now.Sub(then), 0).Truncate(time.Second).String() }

func until(now, then time.Time) string {
	return max(then.Sub(now), 0).Truncate(time.Second).String()
}
