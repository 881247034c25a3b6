package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Scan reads and verifies all frames of a segment of this size and calls fn for
// each; an error of fn ends it and is returned. What checkpoints and the footer
// say is held against the frames before them. It fails with CorruptSegment at the
// first damage, also if Load would drop that as a torn tail, and with NewerFormat
// at what a newer version wrote. The id is for messages.
func Scan(ctx context.Context, src Source, size int64, id string, fn func(Frame) error) error {
	return failure("segment.Scan", id, scan(ctx, src, size, fn))
}

func scan(ctx context.Context, src Source, size int64, fn func(Frame) error) error {
	o, _, _, err := open(ctx, src)
	if err != nil {
		return err
	}
	r := newFrames(src, o.Salt, 0, size, unknownOffset)
	s := scanner{headSize: o.HeadSize, checkpoints: []int64{0}}
	for {
		f, err := r.read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.frame(f); err != nil {
			return err
		}
		if err := fn(f); err != nil {
			return err
		}
	}
}

// scanner is what the frames of a segment said so far.
type scanner struct {
	headSize int64
	// checkpoints are their positions; 0, the first one, stands for none.
	checkpoints []int64
	// indexed is what the checkpoints' indexes have; frames are the data frames
	// behind the newest one, of which its successor may index any.
	indexed, frames Index
	summary         Summary
	ended           bool
}

func (s *scanner) frame(f Frame) error {
	if s.ended {
		return wrongAt(f.Pos, "a frame is behind the footer, where the segment should end")
	}
	if _, there := slices.BinarySearch(s.checkpoints, f.Checkpoint); !there {
		return wrongAt(f.Pos, "the frame names a checkpoint at byte %d, where none is", f.Checkpoint)
	}
	switch f.Type {
	case TypeData:
		s.data(f)
		return nil
	case TypeCheckpoint:
		return s.checkpoint(f)
	case TypeFooter:
		return s.footer(f)
	default:
		return nil
	}
}

func (s *scanner) data(f Frame) {
	s.frames = append(s.frames, IndexEntry{Offset: f.Base, Pos: f.Pos, Time: f.Time})
	if s.summary.Frames == 0 {
		s.summary.FirstTime = f.Time
	}
	s.summary.LastTime = f.Time
	s.summary.Frames++
	s.summary.Bytes += int64(len(f.Payload))
}

func (s *scanner) checkpoint(f Frame) error {
	c, err := checkpointIn(f, s.headSize)
	if err != nil {
		return err
	}
	if last := s.checkpoints[len(s.checkpoints)-1]; c.Previous != last {
		return wrongAt(f.Pos, "the checkpoint names one at byte %d before it, that is at byte %d", c.Previous, last)
	}
	if err := s.behindCheckpoint(c.Index); err != nil {
		return wrongAt(f.Pos, "the checkpoint's index is wrong: %v", err)
	}
	s.checkpoints = append(s.checkpoints, f.Pos)
	s.indexed = append(s.indexed, c.Index...)
	s.frames = s.frames[:0]
	return nil
}

func (s *scanner) footer(f Frame) error {
	p, err := footerIn(f, s.headSize)
	if err != nil {
		return err
	}
	n := len(s.indexed)
	if len(p.Index) < n || !slices.Equal(p.Index[:n], s.indexed) {
		return wrongAt(f.Pos, "the footer's index is not that of the checkpoints")
	}
	if err := s.behindCheckpoint(p.Index[n:]); err != nil {
		return wrongAt(f.Pos, "the footer's index is wrong: %v", err)
	}
	s.summary.Next = f.Next
	if p.Summary != s.summary {
		return wrongAt(f.Pos, "the footer sums up %+v, there is %+v", p.Summary, s.summary)
	}
	s.ended = true
	return nil
}

// behindCheckpoint returns an error unless each entry is that of a data frame
// behind the newest checkpoint. Both ascend.
func (s *scanner) behindCheckpoint(x Index) error {
	frames := s.frames
	for _, e := range x {
		i := slices.Index(frames, e)
		if i < 0 {
			return fmt.Errorf("no data frame is as its entry for offset %d at byte %d says", e.Offset, e.Pos)
		}
		frames = frames[i+1:]
	}
	return nil
}
