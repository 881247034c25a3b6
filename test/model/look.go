package model

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// Look reads all that an owner shows, at most limit bytes at once, and returns
// the error of a reading that failed. What it has found so far is checked in any
// case, and that nothing is missing if the reading did not fail.
func (m *Model) Look(ctx context.Context, o *Owner, limit int) error {
	rng := o.Log.Range()
	seen := map[*Batch]bool{}
	for offset := rng.Start; offset < rng.End; {
		b, err := o.Log.Read(ctx, offset, limit)
		if err != nil {
			return err
		}
		offset = m.shown(o, offset, limit, b, seen)
		if m.Breach() != nil {
			return nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts["read as a whole"]++
	for _, p := range m.placed {
		if p.next() > rng.Start && p.base < rng.End && !seen[p] {
			m.breaks("%v shows %d to %d, and not %v at %d", o, rng.Start, rng.End, p, p.base)
		}
	}
	return nil
}

// Read reads once, anywhere, and returns the error if it failed.
func (m *Model) Read(ctx context.Context, o *Owner, offset talos.Offset, limit int) error {
	before := o.Log.Range()
	b, err := o.Log.Read(ctx, offset, limit)
	after := o.Log.Range()
	if err != nil {
		m.readFailed(o, offset, before, after, err)
		return err
	}
	if offset < before.Start || offset > after.End {
		m.fails("%v read %d bytes at offset %d, its range is %d to %d", o, len(b), offset, before.Start, after.End)
		return nil
	}
	if len(b) == 0 {
		if offset < before.End {
			m.fails("%v read nothing at offset %d, its range is %d to %d", o, offset, before.Start, before.End)
		}
		return nil
	}
	m.Count("read")
	m.shown(o, offset, limit, b, map[*Batch]bool{})
	return nil
}

func (m *Model) readFailed(o *Owner, offset talos.Offset, before, after talos.OffsetRange, err error) {
	kind := talos.KindOf(err)
	m.Count("reading failed: " + string(kind))
	switch kind {
	case talos.NotOwner, talos.NotServing, talos.StoreUnavailable, talos.MetaUnavailable, talos.Timeout:
	case talos.OffsetOutOfRange:
		if offset >= after.Start && offset <= before.End {
			m.fails("%v calls offset %d out of range, which is %d to %d: %w", o, offset, after.Start, before.End, err)
		}
	default:
		m.fails("%v can't read offset %d (%s): %w", o, offset, kind, err)
	}
}

func (m *Model) fails(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breaks(format, args...)
}

// shown checks what an owner showed at offset, and returns the offset behind it.
func (m *Model) shown(o *Owner, offset talos.Offset, limit int, bytes []byte, seen map[*Batch]bool) talos.Offset {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := offset
	for read, err := range batch.All(bytes) {
		if err != nil {
			m.breaks("%v shows at offset %d what is no batch: %w", o, offset, err)
			return offset
		}
		b, err := m.find(read)
		if err != nil {
			m.breaks("%v: %w", o, err)
			return offset
		}
		switch {
		case seen[b]:
			m.breaks("%v shows %v twice", o, b)
		case !b.acked && !b.doubt && b.open == 0:
			m.breaks("%v shows %v at %d, which was refused for good", o, b, read.Base)
		case b.epoch != 0 && b.epoch != read.LeaderEpoch:
			m.breaks("%v shows %v under epoch %d, it was shown under %d", o, b, read.LeaderEpoch, b.epoch)
		case read.LeaderEpoch <= 0 || read.LeaderEpoch > o.Log.Epoch():
			m.breaks("%v of epoch %d shows %v under epoch %d", o, o.Log.Epoch(), b, read.LeaderEpoch)
		case offset == first && (read.Base > offset || read.Next() <= offset):
			m.breaks("%v shows offsets %d to %d to who asked for %d", o, read.Base, read.Next(), offset)
		case offset != first && read.Base != offset:
			m.breaks("%v shows %v at %d, the one before ends at %d", o, b, read.Base, offset)
		case offset != first && len(bytes) > limit:
			m.breaks("%v shows %d bytes in several batches, the limit was %d", o, len(bytes), limit)
		}
		b.epoch, seen[b] = read.LeaderEpoch, true
		m.place(b, read.Base, o)
		offset = read.Next()
	}
	if offset == first {
		m.breaks("%v shows nothing at offset %d", o, offset)
	}
	return offset
}

// Inspect checks what an owner says of itself.
func (m *Model) Inspect(o *Owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inspect(o)
}

func (m *Model) inspect(o *Owner) {
	before, stats, rng := o.Log.Range(), o.Log.Stats(), o.Log.Range()
	if rng.Start > rng.End || rng.Start < o.last.Start || rng.End < o.last.End {
		m.breaks("the range of %v went from %d-%d to %d-%d", o, o.last.Start, o.last.End, rng.Start, rng.End)
	}
	m.expired(o, rng, stats.Bytes)
	o.last = rng
	if err := o.Log.Err(); err != nil {
		switch kind := talos.KindOf(err); kind {
		case talos.NotOwner, talos.NotServing, talos.StoreUnavailable, talos.MetaUnavailable, talos.Timeout:
		default:
			m.breaks("%v ended (%s): %w", o, kind, err)
		}
		return
	}
	if before != rng {
		return // it has changed in between, so the stats may be of either
	}
	var bytes int64
	for _, p := range m.placed {
		if p.base >= rng.Start && p.base < rng.End {
			bytes += int64(len(p.bytes))
		}
	}
	if stats.Bytes < bytes {
		m.breaks("%v says that it has %d bytes, its batches alone have %d", o, stats.Bytes, bytes)
	}
}

// expired makes sure that what is gone though nobody asked for it may be gone.
func (m *Model) expired(o *Owner, rng talos.OffsetRange, bytes int64) {
	if rng.Start <= max(m.asked, o.last.Start) {
		return
	}
	m.counts["records expired"]++
	if m.retained > 0 && bytes >= m.retained {
		return
	}
	for _, p := range m.placed {
		if p.next() <= max(m.asked, o.last.Start) || p.base >= rng.Start || !p.acked {
			continue
		}
		if m.retention == 0 || time.Since(p.appended) < m.retention {
			m.breaks("%v starts at %d, though %v was appended %v ago only, and nobody asked for more than %d",
				o, rng.Start, p, time.Since(p.appended), m.asked)
		}
	}
}

// Configure gives an owner another configuration, and waits until it follows.
func (m *Model) Configure(ctx context.Context, o *Owner, config talos.TopicConfig) {
	err := o.Log.Configure(ctx, config)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind := talos.KindOf(err); {
	case err == nil:
		m.counts["configured"]++
	case kind == talos.Internal || !kind.Known():
		m.breaks("%v can't be configured (%s): %w", o, kind, err)
	default:
		m.counts["configuring failed: "+string(kind)]++
	}
}

// Trim asks an owner to trim, and waits for the answer.
func (m *Model) Trim(ctx context.Context, o *Owner, offset talos.Offset) {
	m.mu.Lock()
	m.asked = max(m.asked, offset)
	m.mu.Unlock()
	before := o.Log.Range()
	err := o.Log.Trim(ctx, offset)
	after := o.Log.Range()

	m.mu.Lock()
	defer m.mu.Unlock()
	kind := talos.KindOf(err)
	switch {
	case err == nil:
		m.counts["trimmed"]++
		m.done = max(m.done, offset)
		if after.Start < offset || offset > after.End {
			m.breaks("%v was trimmed to %d, its range is %d to %d", o, offset, after.Start, after.End)
		}
	case kind == talos.OffsetOutOfRange && offset > before.End:
	case kind == talos.Internal, kind == talos.OffsetOutOfRange, !kind.Known():
		m.breaks("%v, trimmed to %d (%s): %w", o, offset, kind, err)
	default:
		m.counts["trimming failed: "+string(kind)]++
	}
}
