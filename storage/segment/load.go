package segment

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// LoadOptions says what is known of a segment before it is loaded.
type LoadOptions struct {
	// ID is for messages.
	ID string
	// Size is the segment's final length.
	Size int64
	// Ordered is storage.Traits.OrderedTail.
	Ordered bool
	// Acked: all offsets below it are known to be acknowledged from elsewhere; 0
	// means that only what the frames state is known.
	Acked talos.Offset
	// Until, if above 0, is the base offset of the next segment: everything below
	// it must be there, and what lies at or above it is noise.
	Until talos.Offset
	// Restore, if not nil, is called once, with a snapshot of the producers.
	Restore func([]Producer)
	// Apply, if not nil, is called after Restore for each batch behind that
	// snapshot and below Until, in order, with its append time in milliseconds. The
	// batch's bytes are valid during the call. An error ends Load, and is returned.
	Apply func(b batch.Batch, appendTime int64) error
}

// Loaded is what is in a segment that nobody writes anymore.
type Loaded struct {
	Opened
	// Sealed is true if the segment has a footer, which then was all that was read.
	Sealed bool
	Index  Index
	// Next is the offset behind the last record that counts.
	Next talos.Offset
	// End is the position behind the last whole frame that counts; of a sealed
	// segment, where the footer begins.
	End int64
	// LastTime is the append time of the last frame that counts, in milliseconds.
	LastTime int64
	// Torn is how many bytes behind End were dropped as a torn tail.
	Torn int64
	// Ambiguous is true if the torn tail begins with a frame of full length whose
	// checksum does not match: most probably an append in flight at a crash, but
	// damage to it afterwards would look the same.
	Ambiguous bool
}

// Load reads what is needed to go on behind a segment, or to read it: its footer,
// or else its newest acknowledged checkpoint and all that follows. It fails with
// CorruptSegment, naming the position, where bytes that were acknowledged are
// missing or damaged, and never drops such bytes; with NewerFormat where a newer
// version of Talos wrote what this one must understand.
func Load(ctx context.Context, src Source, o LoadOptions) (Loaded, error) {
	l := loader{src: src, LoadOptions: o}
	if err := l.load(ctx); err != nil {
		return Loaded{}, failure("segment.Load", o.ID, err)
	}
	return l.out, nil
}

// loader is one call of Load.
type loader struct {
	LoadOptions
	src Source
	out Loaded
	// last is the last intact frame header behind the header frame, if one was
	// found.
	last  frameHeader
	found bool
}

func (l *loader) load(ctx context.Context) error {
	opened, producers, h, err := open(ctx, l.src)
	if err != nil {
		return err
	}
	if opened.HeadSize > l.Size {
		return wrongAt(0, "the header frame has %d bytes, the segment %d", opened.HeadSize, l.Size)
	}
	l.out = Loaded{Opened: opened, Next: h.Next, End: opened.HeadSize, LastTime: h.Time}
	if l.last, l.found, err = lastFrame(ctx, l.src, opened, l.Size); err != nil {
		return err
	}
	if l.Until > 0 && l.found && l.last.Acked > l.Until {
		return wrongAt(l.last.pos, "the frame states that offsets below %d were acknowledged, but the next segment begins at %d",
			l.last.Acked, l.Until)
	}
	if sealed, err := l.footer(ctx); sealed || err != nil {
		return err
	}
	if l.last.checkpoint != 0 {
		if producers, err = l.checkpoints(ctx); err != nil {
			return err
		}
	}
	l.restore(producers)
	return l.tail(ctx)
}

func (l *loader) restore(producers []Producer) {
	if l.Restore != nil {
		l.Restore(producers)
	}
}

// footer loads a segment by its footer; false if it has none that is intact and
// below Until.
func (l *loader) footer(ctx context.Context) (bool, error) {
	if !l.found || l.last.frameType != TypeFooter || l.last.end() != l.Size {
		return false, nil
	}
	f, err := l.frameAt(ctx, l.last.pos)
	var d *damage
	if errors.As(err, &d) {
		return false, nil // who reads on from the checkpoint meets it again, and judges it
	}
	if err != nil {
		return false, err
	}
	if l.Until > 0 && f.Next > l.Until {
		return false, nil
	}
	footer, err := footerIn(f, l.out.HeadSize)
	if err != nil {
		return false, err
	}
	l.out.Sealed = true
	l.out.Index = footer.Index
	l.out.Next, l.out.End, l.out.LastTime = f.Next, f.Pos, f.Time
	if err := l.complete(f.Pos); err != nil {
		return false, err
	}
	l.restore(footer.Producers)
	return true, nil
}

// checkpoints goes to the newest acknowledged checkpoint, and gathers the index
// from all checkpoints before it.
func (l *loader) checkpoints(ctx context.Context) ([]Producer, error) {
	var newest Checkpoint
	var parts []Index
	for pos, limit := l.last.checkpoint, l.last.pos; pos != 0; {
		if pos < l.out.HeadSize || pos >= limit {
			return nil, wrongAt(limit, "the frame names a checkpoint at byte %d", pos)
		}
		f, c, err := l.checkpointAt(ctx, pos)
		if err != nil {
			return nil, err
		}
		if parts == nil {
			newest = c
			l.out.Next, l.out.End, l.out.LastTime = f.Next, f.Pos+f.Size, f.Time
		}
		parts = append(parts, c.Index)
		pos, limit = c.Previous, pos
	}
	for _, part := range slices.Backward(parts) {
		l.out.Index = append(l.out.Index, part...)
	}
	if err := l.out.Index.check(l.out.HeadSize, l.last.checkpoint, l.out.Next); err != nil {
		return nil, wrongAt(l.last.checkpoint, "the index of the checkpoints can't be used: %v", err)
	}
	return newest.Producers, nil
}

func (l *loader) checkpointAt(ctx context.Context, pos int64) (Frame, Checkpoint, error) {
	f, err := l.frameAt(ctx, pos)
	var d *damage
	if errors.As(err, &d) && d.flaw != newer {
		return f, Checkpoint{}, wrongAt(d.pos, "the acknowledged checkpoint is damaged: %s", d.detail)
	}
	if err != nil {
		return f, Checkpoint{}, err
	}
	if f.Type != TypeCheckpoint {
		return f, Checkpoint{}, wrongAt(pos, "a checkpoint should be here, not a frame of type %d", f.Type)
	}
	if l.Until > 0 && f.Next > l.Until {
		return f, Checkpoint{}, wrongAt(pos, "offsets below %d were acknowledged, but the next segment begins at %d", f.Next, l.Until)
	}
	c, err := checkpointIn(f, l.out.HeadSize)
	return f, c, err
}

func (l *loader) frameAt(ctx context.Context, pos int64) (Frame, error) {
	r := newFrames(l.src, l.out.Salt, pos, l.Size, unknownOffset)
	r.chunk = aloneBytes
	return r.read(ctx)
}

// tail verifies and applies what lies behind the snapshot.
func (l *loader) tail(ctx context.Context) error {
	r := newFrames(l.src, l.out.Salt, l.out.End, l.Size, l.out.Next)
	for l.Until == 0 || l.out.Next < l.Until {
		f, err := r.read(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		var d *damage
		if errors.As(err, &d) {
			return l.torn(d)
		}
		if err != nil {
			return err
		}
		if err := l.apply(f); err != nil {
			return err
		}
	}
	return l.complete(l.out.End)
}

func (l *loader) apply(f Frame) error {
	if f.Type == TypeData {
		l.out.Index = l.out.Index.add(IndexEntry{Offset: f.Base, Pos: f.Pos, Time: f.Time})
		if err := l.applyBatches(f); err != nil {
			return err
		}
	}
	l.out.End, l.out.LastTime = f.Pos+f.Size, f.Time
	return nil
}

func (l *loader) applyBatches(f Frame) error {
	for b, err := range batch.All(f.Payload) {
		if err != nil {
			return wrongAt(f.Pos, "%v", err)
		}
		if l.Until > 0 && b.Base >= l.Until {
			return nil
		}
		if l.Until > 0 && b.Next() > l.Until {
			return wrongAt(f.Pos, "the batch from offset %d to %d goes beyond %d, where the next segment begins", b.Base, b.Next(), l.Until)
		}
		if l.Apply != nil {
			if err := l.Apply(b, f.Time); err != nil {
				return err
			}
		}
		l.out.Next = b.Next()
	}
	return nil
}

// complete checks that nothing is missing at the end, which lies at pos.
func (l *loader) complete(pos int64) error {
	switch {
	case l.Until > l.out.Next:
		return wrongAt(pos, "the records end at offset %d, but the next segment begins at %d", l.out.Next, l.Until)
	case l.Acked > l.out.Next:
		return wrongAt(pos, "the records end at offset %d, but those below %d were acknowledged", l.out.Next, l.Acked)
	default:
		return nil
	}
}

// torn decides what the first frame that can't be verified is: a torn tail, which
// is dropped together with all that follows, or corruption.
func (l *loader) torn(d *damage) error {
	tail := l.Size - d.pos
	switch {
	case d.flaw == wrong || d.flaw == newer:
		return d
	case l.found && l.last.Acked > l.out.Next:
		return wrongAt(d.pos, "%s, and a frame at byte %d states that it was acknowledged", d.detail, l.last.pos)
	case l.Ordered && d.flaw != cutHeader && d.flaw != cutFrame:
		return wrongAt(d.pos, "%s, and only the frame in which the segment ends may be torn in this store", d.detail)
	case !l.Ordered && tail > l.out.Window:
		return wrongAt(d.pos, "%s, and the %d bytes from here on are more than the %d that can have been in flight",
			d.detail, tail, l.out.Window)
	}
	if err := l.complete(d.pos); err != nil {
		return err
	}
	l.out.Torn = tail
	l.out.Ambiguous = d.flaw == badFrame
	return nil
}
