package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/storage/inspect"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos/batch"
)

// frameJSON is one frame as segment dump -o json prints it.
type frameJSON struct {
	Type     string      `json:"type" doc:"header, data, checkpoint, footer, padding, or a number that this version skips"`
	Position int64       `json:"position" doc:"the byte at which it begins"`
	Bytes    int64       `json:"bytes" doc:"its whole length"`
	Base     int64       `json:"base" doc:"its first offset"`
	Next     int64       `json:"next" doc:"the offset behind its last"`
	Acked    int64       `json:"acked" doc:"everything below was acknowledged when it was written"`
	Time     string      `json:"time" doc:"when it was written"`
	Batches  []batchJSON `json:"batches,omitempty" doc:"its record batches"`
}

// batchJSON is one record batch of a frame.
type batchJSON struct {
	Base     int64  `json:"base" doc:"its first offset"`
	Records  int32  `json:"records" doc:"how many records it has"`
	Bytes    int    `json:"bytes" doc:"its length"`
	Codec    string `json:"codec" doc:"how its records are compressed"`
	Producer int64  `json:"producer" doc:"the producer's id; -1 if it is not idempotent"`
	Sequence int32  `json:"sequence" doc:"the sequence number of its first record"`
	Epoch    int32  `json:"epoch" doc:"the ownership under which it was stored"`
}

func newSegmentDump(open opener) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump ID",
		Short: "Show the frames and batches of a segment",
		Long: `Show what is in a segment, frame by frame, up to the first byte that is not as it
was written. The id is what list prints. With -o json, one object per frame.`,
		Args: exactArgs("a segment's id"),
	}
	out := outputFlag(cmd, frameJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		store, err := open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		e, err := inspect.Find(cmd.Context(), store, args[0])
		if err != nil {
			return err
		}
		return inspect.Frames(cmd.Context(), store, e, func(f segment.Frame) error {
			return printFrame(cmd.OutOrStdout(), *out, f)
		})
	}
	return cmd
}

func printFrame(w io.Writer, f format, frame segment.Frame) error {
	row := frameJSON{
		Type: frameType(frame.Type), Position: frame.Pos, Bytes: frame.Size, Base: int64(frame.Base), Next: int64(frame.Next),
		Acked: int64(frame.Acked), Time: time.UnixMilli(frame.Time).UTC().Format(timestampFormat),
	}
	if frame.Type == segment.TypeData {
		for b, err := range batch.All(frame.Payload) {
			if err != nil {
				return err
			}
			row.Batches = append(row.Batches, batchJSON{
				Base: int64(b.Base), Records: b.Records, Bytes: b.Size, Codec: b.Codec().String(),
				Producer: b.ProducerID, Sequence: b.FirstSequence, Epoch: int32(b.LeaderEpoch),
			})
		}
	}
	if f == formatJSON {
		return printJSON(w, row)
	}
	if _, err := fmt.Fprintf(w, "%-10s at %d, %d bytes, offsets %d to %d, acknowledged %d, %s\n",
		row.Type, row.Position, row.Bytes, row.Base, row.Next, row.Acked, row.Time); err != nil {
		return err
	}
	for _, b := range row.Batches {
		if _, err := fmt.Fprintf(w, "  batch    offset %d, %s, %d bytes, %s, producer %d, sequence %d, epoch %d\n",
			b.Base, count(int(b.Records), "record"), b.Bytes, b.Codec, b.Producer, b.Sequence, b.Epoch); err != nil {
			return err
		}
	}
	return nil
}

func frameType(t uint8) string {
	switch t {
	case segment.TypeHeader:
		return "header"
	case segment.TypeData:
		return "data"
	case segment.TypeCheckpoint:
		return "checkpoint"
	case segment.TypeFooter:
		return "footer"
	case segment.TypePadding:
		return "padding"
	default:
		return fmt.Sprint(t)
	}
}
