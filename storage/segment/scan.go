package segment

import (
	"context"
	"errors"
	"io"
	"slices"
)

// Scan reads and verifies all frames of a segment of this size and calls fn for
// each; an error of fn ends it and is returned. It fails with CorruptSegment at
// the first damage, also if Load would drop that as a torn tail. The id is for
// messages.
func Scan(ctx context.Context, src Source, size int64, id string, fn func(Frame) error) error {
	return failure("segment.Scan", id, scan(ctx, src, size, fn))
}

func scan(ctx context.Context, src Source, size int64, fn func(Frame) error) error {
	o, _, _, err := open(ctx, src)
	if err != nil {
		return err
	}
	r := newFrames(src, o.Salt, 0, size, unknownOffset)
	checkpoints := []int64{0} // 0 stands for none
	for {
		f, err := r.read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, there := slices.BinarySearch(checkpoints, f.Checkpoint); !there {
			return wrongAt(f.Pos, "the frame names a checkpoint at byte %d, where none is", f.Checkpoint)
		}
		if err := checkSections(f, o, checkpoints[len(checkpoints)-1]); err != nil {
			return err
		}
		if f.Type == TypeCheckpoint {
			checkpoints = append(checkpoints, f.Pos)
		}
		if err := fn(f); err != nil {
			return err
		}
	}
}

// checkSections reads what a checkpoint or footer frame holds; checkpoint is the
// position of the one before it.
func checkSections(f Frame, o Opened, checkpoint int64) error {
	switch f.Type {
	case TypeCheckpoint:
		c, err := checkpointIn(f, o.HeadSize)
		if err == nil && c.Previous != checkpoint {
			return wrongAt(f.Pos, "the checkpoint names one at byte %d before it, that is at byte %d", c.Previous, checkpoint)
		}
		return err
	case TypeFooter:
		_, err := footerIn(f, o.HeadSize)
		return err
	default:
		return nil
	}
}
