package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// Read returns whole committed batches, from the one that holds offset on, of
// maxBytes at the most but at least one. At the end of the log it returns
// nothing. It may return less than there is; ask again behind it.
//
// OffsetOutOfRange: the offset is below the start, or above the end (asked of
// the record first, so that a deposed owner does not say it; then NotOwner).
// CorruptSegment names file and position.
func (l *Log) Read(ctx context.Context, offset talos.Offset, maxBytes int) ([]byte, error) {
	v := l.view.Load()
	switch {
	case v.ended:
		<-l.done
		return nil, l.err
	case offset == v.rng.End:
		return nil, nil
	case offset < v.rng.Start:
		return nil, l.outOfRange(offset, v.rng)
	case offset > v.rng.End:
		return nil, l.beyondEnd(ctx, offset, v)
	}
	if groups, ok := l.tail.from(offset, v.rng.End); ok {
		l.metrics.tailReads.Inc()
		return readGroups(groups, offset, maxBytes)
	}
	l.metrics.segmentReads.Inc()
	i, limit := locate(v.chain, offset, v.rng.End)
	b, err := l.readLink(ctx, v, i, offset, limit, maxBytes)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, l.vanished(ctx, v, i, err)
	}
	return b, err
}

func (l *Log) readLink(ctx context.Context, v *view, i int, offset, limit talos.Offset, maxBytes int) ([]byte, error) {
	seg, err := l.openLink(ctx, v, i, limit)
	if err != nil {
		return nil, err
	}
	return l.readSegment(ctx, v.chain[i], seg, offset, limit, maxBytes)
}

// openLink returns what reading link i below limit needs.
func (l *Log) openLink(ctx context.Context, v *view, i int, limit talos.Offset) (openSegment, error) {
	if v.open != nil && v.open.name == v.chain[i].name {
		return *v.open, nil
	}
	return l.loadForReading(ctx, v.chain[i], limit)
}

// vanished says what it means that a segment of the chain is not there: a later
// owner has trimmed it away, or this one has; else the chain is broken.
func (l *Log) vanished(ctx context.Context, v *view, i int, cause error) error {
	rec, err := l.cfg.Records.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the record of %v: %w", l.id, err)
	}
	name := v.chain[i].name
	switch {
	case rec.Epoch > v.epoch && rec.Epoch > l.Epoch():
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one %d", rec.Epoch, v.epoch), cause)
	case name.Number < rec.Start.Number:
		return l.outOfRange(name.Base, l.Range())
	default:
		return brokenChain(l.id, "segment %v is missing", l.segmentID(name))
	}
}

func (l *Log) outOfRange(offset talos.Offset, rng talos.OffsetRange) error {
	return &talos.Error{
		Kind: talos.OffsetOutOfRange, Op: "partition.Read", Subject: l.id.String(),
		Detail: fmt.Sprintf("offset %d", offset), Range: &rng,
	}
}

// beyondEnd makes sure that it is the reader, and not this log, which is wrong.
func (l *Log) beyondEnd(ctx context.Context, offset talos.Offset, v *view) error {
	rec, err := l.cfg.Records.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the record of %v: %w", l.id, err)
	}
	if rec.Epoch > v.epoch && rec.Epoch > l.Epoch() {
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one %d", rec.Epoch, v.epoch), nil)
	}
	return l.outOfRange(offset, v.rng)
}

// Confirm makes sure that no later owner was there when it was called: NotOwner if
// one was. It reads the record.
func (l *Log) Confirm(ctx context.Context) error {
	v := l.view.Load()
	if v.ended {
		<-l.done
		return l.err
	}
	rec, err := l.cfg.Records.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the record of %v: %w", l.id, err)
	}
	if rec.Epoch > l.Epoch() {
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one %d", rec.Epoch, l.Epoch()), nil)
	}
	return nil
}

// readGroups copies batches out of memory.
func readGroups(groups []group, offset talos.Offset, maxBytes int) ([]byte, error) {
	var parts [][]byte
	size := 0
	for _, g := range groups {
		for b, err := range batch.All(g.payload) {
			if err != nil {
				return nil, fmt.Errorf("a batch in memory: %w", err)
			}
			if b.Next() <= offset {
				continue
			}
			if size > 0 && size+b.Size > maxBytes {
				return bytes.Join(parts, nil), nil
			}
			parts, size = append(parts, b.Bytes), size+b.Size
		}
	}
	// It makes one buffer of the right size, and does not clear it before.
	return bytes.Join(parts, nil), nil
}

// readSegment reads batches of one segment that lie below limit.
func (l *Log) readSegment(ctx context.Context, in link, seg openSegment, offset, limit talos.Offset, maxBytes int) ([]byte, error) {
	id := l.segmentID(in.name)
	src := source{history: l.history, store: l.cfg.Store, id: id, end: seg.end}
	out, err := segment.ReadBatches(ctx, src, segment.Query{
		ID: id.String(), Salt: seg.salt, From: offset, Limit: limit,
		Pos: seg.index.Find(offset), End: seg.end, MaxBytes: maxBytes,
	})
	if err != nil {
		if talos.KindOf(err) == talos.CorruptSegment {
			l.history.forget(id)
		}
		return nil, storeError("read", id, err)
	}
	if len(out) == 0 {
		return nil, &talos.Error{
			Kind: talos.CorruptSegment, Op: "partition.Read", Subject: id.String(),
			Detail: fmt.Sprintf("offset %d should be in it, and is not", offset),
		}
	}
	return out, nil
}

// loadForReading returns the index of a segment that is not being written,
// loading it once for all readers that ask.
func (l *Log) loadForReading(ctx context.Context, in link, limit talos.Offset) (openSegment, error) {
	id := l.segmentID(in.name)
	if seg, ok := l.history.index(id, limit); ok {
		return seg, nil
	}
	key := fmt.Sprintf("%v %d", in.name, limit)
	result := l.loading.DoChan(key, func() (any, error) {
		// For the log, not for the one reader that came first.
		ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
		defer cancel()
		l.metrics.indexLoads.Inc()
		loaded, err := l.load(ctx, in, limit, segment.LoadOptions{
			Restore: func([]segment.Producer) {},
			Apply:   func(batch.Batch, int64) error { return nil },
		})
		if l.ctx.Err() != nil {
			return openSegment{}, l.ended("it is ending: " + context.Cause(l.ctx).Error())
		}
		if err != nil {
			return openSegment{}, err
		}
		seg := openSegment{name: in.name, salt: loaded.Salt, index: loaded.Index, end: loaded.End}
		l.history.keepIndex(id, limit, seg)
		return seg, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return openSegment{}, r.Err
		}
		seg, _ := r.Val.(openSegment) // nothing else is ever loaded
		return seg, nil
	case <-ctx.Done():
		return openSegment{}, context.Cause(ctx)
	}
}
