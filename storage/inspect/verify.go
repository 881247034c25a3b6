package inspect

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// State is what Verify says of a segment; see the package comment.
type State string

// The states.
const (
	Sealed    State = "sealed"
	Unsealed  State = "unsealed"
	Torn      State = "torn"
	Ambiguous State = "ambiguous"
	Damaged   State = "damaged"
)

// Sound tells whether nothing of the segment can have been lost.
func (s State) Sound() bool { return s != Damaged && s != Ambiguous }

// Finding is the result for one segment.
type Finding struct {
	Entry
	State State
	// Next is the offset behind the last record that was verified, Frames and
	// Batches are how many there are.
	Next            talos.Offset
	Frames, Batches int64
	// Tail is how many bytes at the end are torn or ambiguous.
	Tail int64
	// Fault is what is wrong, of kind CorruptSegment or NewerFormat where Damaged.
	Fault error
}

// Verify reads each byte of a segment: the checksums of frames and of batches,
// the order of offsets, and what a footer says against what is there. Damage is
// a Finding; an error means that the segment could not be read.
//
// It calls progress, unless that is nil, with how many bytes of the segment it is
// done with: on its own goroutine, after each frame, never less than before.
// With a Finding the last call says Finding.Size, whatever was found; what is
// behind damage counts as done, since nothing more will be read of it.
func Verify(ctx context.Context, store storage.Store, e Entry, progress func(done int64)) (Finding, error) {
	if progress == nil {
		progress = func(int64) {}
	}
	f := Finding{Entry: e, State: Unsealed, Next: e.Name.Base}
	reader, err := store.Open(ctx, e.ID())
	if err != nil {
		return f, fmt.Errorf("open %v: %w", e.ID(), err)
	}
	defer closeReader(reader)
	size, err := reader.Size(ctx)
	if err != nil {
		return f, fmt.Errorf("size of %v: %w", e.ID(), err)
	}
	f.Size = size
	err = f.identify(ctx, reader)
	if err == nil {
		err = segment.Scan(ctx, reader, size, e.ID().String(), func(frame segment.Frame) error {
			if err := f.frame(frame); err != nil {
				return err
			}
			progress(frame.Pos + frame.Size)
			return nil
		})
	}
	if err == nil {
		err = f.missing()
	}
	if err != nil {
		if f, err = f.judge(ctx, reader, store.Traits().OrderedTail, err); err != nil {
			return f, err
		}
		progress(size)
	}
	return f, nil
}

// identify makes sure that the segment is the one it is called.
func (f *Finding) identify(ctx context.Context, reader storage.Reader) error {
	opened, _, err := segment.ReadHeader(ctx, reader, f.ID().String())
	if err != nil {
		return err
	}
	if opened.Name != f.Name || opened.Topic != f.Partition.Topic || opened.Partition != f.Partition.Number {
		return f.corrupt("at byte 0: the header says that it is %v of %v/%d", opened.Name, opened.Topic, opened.Partition)
	}
	return nil
}

// frame checks what a verified frame holds.
func (f *Finding) frame(frame segment.Frame) error {
	switch frame.Type {
	case segment.TypeData:
		f.Frames++
		for b, err := range batch.All(frame.Payload) {
			if err != nil {
				return f.corrupt("at byte %d: %v", frame.Pos, err)
			}
			if !batch.ChecksumOK(b.Bytes) {
				return f.corrupt("at byte %d: the batch at offset %d fails its checksum", frame.Pos, b.Base)
			}
			f.Batches++
		}
		f.Next = frame.Next
	case segment.TypeFooter:
		f.State = Sealed
		footer, err := segment.ParseFooter(frame.Payload)
		if err != nil {
			return f.corrupt("at byte %d: %v", frame.Pos, err)
		}
		if footer.Summary.Next != f.Next || footer.Summary.Frames != f.Frames {
			return f.corrupt("at byte %d: the footer counts %d frames up to offset %d, there are %d up to %d",
				frame.Pos, footer.Summary.Frames, footer.Summary.Next, f.Frames, f.Next)
		}
	}
	return nil
}

// missing finds data that the next segment says must be there.
func (f *Finding) missing() error {
	if f.Superseded || f.Next >= f.nextBase {
		return nil
	}
	return f.corrupt("at byte %d: it ends at offset %d, the next segment begins at %d", f.Size, f.Next, f.nextBase)
}

// judge decides what it means that Scan could not verify all: the end of an
// append that was cut off, as an ordered store may have it; an end that only an
// unordered one may have; or damage.
func (f *Finding) judge(ctx context.Context, reader storage.Reader, ordered bool, fault error) (Finding, error) {
	if !isDamage(fault) {
		return *f, fault
	}
	f.State, f.Fault = Damaged, fault
	for _, try := range []struct {
		ordered bool
		means   State
	}{{true, Torn}, {false, Ambiguous}} {
		if ordered && !try.ordered {
			break
		}
		tail, err := f.tail(ctx, reader, try.ordered)
		if isDamage(err) {
			continue
		}
		if err == nil && tail > 0 {
			f.State, f.Tail = try.means, tail
		}
		return *f, err
	}
	return *f, nil
}

// tail is how many bytes an opening would drop, by the rules of one sort of
// store.
func (f *Finding) tail(ctx context.Context, reader storage.Reader, ordered bool) (int64, error) {
	o := segment.LoadOptions{ID: f.ID().String(), Size: f.Size, Ordered: ordered}
	if !f.Superseded {
		o.Until = f.nextBase
	}
	loaded, err := segment.Load(ctx, reader, o)
	if err != nil || loaded.Sealed || loaded.Next != f.Next {
		return 0, err
	}
	return f.Size - loaded.End, nil
}

func isDamage(err error) bool {
	k := talos.KindOf(err)
	return err != nil && (k == talos.CorruptSegment || k == talos.NewerFormat)
}

func (f *Finding) corrupt(format string, args ...any) error {
	return &talos.Error{
		Kind: talos.CorruptSegment, Op: "inspect.Verify", Subject: f.ID().String(), Detail: fmt.Sprintf(format, args...),
	}
}

// closeReader closes what was only read: there is nothing that a failure could
// have lost.
func closeReader(r storage.Reader) { _ = r.Close() }
