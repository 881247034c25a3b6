package cli

import (
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/storage/inspect"
	"github.com/talos-log/talos/talos"
)

// findingJSON is one segment as segment verify -o json prints it.
type findingJSON struct {
	Segment segmentJSON `json:"segment" doc:"which segment it is"`
	State   string      `json:"state" doc:"sealed, unsealed, torn, ambiguous or damaged"`
	Next    int64       `json:"next" doc:"the offset behind the last record that was verified"`
	Frames  int64       `json:"frames" doc:"data frames that were verified"`
	Batches int64       `json:"batches" doc:"record batches that were verified"`
	Tail    int64       `json:"tail" doc:"bytes at the end that are torn or ambiguous"`
	Fault   string      `json:"fault,omitempty" doc:"what is wrong, and at which byte"`
}

func newSegmentVerify(open opener) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [ID...]",
		Short: "Verify every byte of all segments, or of some",
		Long: `Verify every byte of all segments, or of those that are named, and go on behind
a damaged one. What a segment can be:

  sealed     it has a footer, and each byte is as it was written
  unsealed   it has no footer (it is being written, or its owner was cut off);
             each frame is as it was written
  torn       unsealed, and its last frame is cut off: an append that was never
             acknowledged, no harm
  ambiguous  unsealed, and its last bytes are there but not as they were written: an
             append that was never acknowledged, or damage
  damaged    anything else

The exit code is 6 if a segment is ambiguous or damaged. With -o json, one object
per line.`,
	}
	out := outputFlag(cmd, findingJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		store, err := open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		entries, err := chosen(cmd.Context(), store, args)
		if err != nil {
			return err
		}
		names := topicNames(cmd.Context(), store, entries)
		unsound := 0
		progress := newVerifyProgress(cmd.ErrOrStderr(), *out, entries)
		defer progress.clear()
		for _, e := range entries {
			topic := names[e.Partition.Topic]
			progress.begin(e, topic)
			finding, err := inspect.Verify(cmd.Context(), store, e, progress.verified)
			if err != nil {
				return err
			}
			if !finding.State.Sound() {
				unsound++
			}
			progress.clear()
			if err := printFinding(cmd, *out, finding, topic); err != nil {
				return err
			}
		}
		if unsound == 0 {
			return nil
		}
		return &talos.Error{
			Kind: talos.CorruptSegment, Subject: fmt.Sprintf("%d of %s", unsound, count(len(entries), "segment")),
			Detail: "see above",
		}
	}
	return cmd
}

func printFinding(cmd *cobra.Command, f format, finding inspect.Finding, topic string) error {
	row := findingJSON{
		Segment: segmentRow(finding.Entry, topic), State: string(finding.State), Next: int64(finding.Next),
		Frames: finding.Frames, Batches: finding.Batches, Tail: finding.Tail,
	}
	if finding.Fault != nil {
		row.Fault = describe(finding.Fault)
	}
	if f == formatJSON {
		return printJSON(cmd.OutOrStdout(), row)
	}
	state := paletteFor(cmd.OutOrStdout()).paint(fmt.Sprintf("%-9s", row.State), stateColor(finding.State))
	line := fmt.Sprintf("%s  %s  from offset %d, next %d, batches %d", state, row.Segment.ID, row.Segment.Base, row.Next, row.Batches)
	if row.Tail > 0 {
		line += fmt.Sprintf(", a tail of %d bytes", row.Tail)
	}
	if row.Fault != "" {
		line += "\n           " + row.Fault
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}

// stateColor: what is sound is green, or yellow if a tail was cut off.
func stateColor(s inspect.State) text.Color {
	switch {
	case !s.Sound():
		return text.FgRed
	case s == inspect.Torn:
		return text.FgYellow
	default:
		return text.FgGreen
	}
}
