package segment

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// Query says what to read of a segment.
type Query struct {
	// ID is for messages.
	ID   string
	Salt uint64
	// From is the first offset wanted; Limit is the one behind the last that may
	// be read, between two batches. The segment must hold all from From to Limit.
	From, Limit talos.Offset
	// Pos is where to begin, from the index; End is where valid bytes end.
	Pos, End int64
	// MaxBytes bounds the answer; a first batch that is larger comes alone.
	MaxBytes int
}

// ReadBatches returns whole batches, from the one that holds From on, below Limit;
// none if From is not below it. It verifies each frame that it reads, and fails
// with CorruptSegment where one below Limit is missing or damaged. What lies before
// that is answered alone, so that it can be read: who asks behind it meets the
// damage.
func ReadBatches(ctx context.Context, src Source, q Query) ([]byte, error) {
	if q.From >= q.Limit {
		return nil, nil
	}
	var parts [][]byte
	size := 0
	r := newFrames(src, q.Salt, q.Pos, q.End, unknownOffset)
	r.chunk = min(max(r.chunk, int64(q.MaxBytes)), maxReadBytes)
	r.buf = takeBuffer()
	defer func() { giveBuffer(r.buf) }()
	for next := q.From; next < q.Limit; {
		f, err := r.read(ctx)
		if err == nil {
			err = q.check(f, next)
		}
		if err != nil {
			err = q.ended(err, r.pos, next)
			var d *damage
			if size > 0 && errors.As(err, &d) {
				break
			}
			return nil, failure("segment.ReadBatches", q.ID, err)
		}
		if f.Type != TypeData || f.Next <= next {
			continue
		}
		part, full := q.cut(f, size)
		if !r.viewed {
			part = bytes.Clone(part) // the buffer is used again
		}
		parts, size = append(parts, part), size+len(part)
		if size == 0 {
			return nil, failure("segment.ReadBatches", q.ID,
				wrongAt(f.Pos, "no batch ends between offset %d and %d, which should be the end of one", q.From, q.Limit))
		}
		if full {
			break
		}
		next = f.Next
	}
	// One buffer of the right size, which is not cleared before.
	return bytes.Join(parts, nil), nil
}

// check refuses a frame that begins behind the offset that is wanted next.
func (q Query) check(f Frame, next talos.Offset) error {
	if f.Type == TypeData && f.Base > next {
		return wrongAt(f.Pos, "the frame begins at offset %d, %d should be here or before", f.Base, next)
	}
	return nil
}

// ended turns the end of the bytes into damage: the caller knows that there is
// more.
func (q Query) ended(err error, pos int64, next talos.Offset) error {
	if errors.Is(err, io.EOF) {
		return wrongAt(pos, "the records end here before offset %d; offsets below %d should be there", next, q.Limit)
	}
	return err
}

// cut returns the part of a data frame that belongs to the answer, which has
// have bytes already; full means that nothing may follow.
func (q Query) cut(f Frame, have int) (part []byte, full bool) {
	start, end := 0, 0
	for b, err := range batch.All(f.Payload) {
		if err != nil || b.Next() > q.Limit {
			break // the frame was checked: there is no error
		}
		if b.Next() <= q.From {
			start += b.Size
			end = start
			continue
		}
		if size := have + end + b.Size - start; size > q.MaxBytes && size > b.Size {
			return f.Payload[start:end], true
		}
		end += b.Size
	}
	return f.Payload[start:end], false
}

// OffsetForTime returns the first offset, from q.From on and below q.Limit, of a
// frame whose append time is at least ms, with that time; false if there is none.
// Q.Pos comes from Index.FindTime; q.MaxBytes does not count.
func OffsetForTime(ctx context.Context, src Source, q Query, ms int64) (o talos.Offset, at int64, ok bool, err error) {
	r := newFrames(src, q.Salt, q.Pos, q.End, unknownOffset)
	for r.next < q.Limit {
		f, err := r.read(ctx)
		if err != nil {
			return 0, 0, false, failure("segment.OffsetForTime", q.ID, q.ended(err, r.pos, max(r.next, q.From)))
		}
		if f.Type == TypeData && f.Base < q.Limit && f.Next > q.From && f.Time >= ms {
			return max(f.Base, q.From), f.Time, true, nil
		}
	}
	return 0, 0, false, nil
}
