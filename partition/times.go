package partition

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// segmentTimes knows, in milliseconds, when the newest record of segments was
// appended, as far as somebody had to know.
type segmentTimes struct {
	mu     sync.Mutex // guards newest
	newest map[talos.SegmentNumber]int64
}

func (s *segmentTimes) of(n talos.SegmentNumber) (ms int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms, known = s.newest[n]
	return ms, known
}

func (s *segmentTimes) set(n talos.SegmentNumber, ms int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil {
		s.newest = map[talos.SegmentNumber]int64{}
	}
	s.newest[n] = ms
}

// forgetBelow drops what lies below a segment.
func (s *segmentTimes) forgetBelow(n talos.SegmentNumber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for known := range s.newest {
		if known < n {
			delete(s.newest, known)
		}
	}
}

// opened reads a segment without keeping its bytes: a header, say.
type opened struct {
	history *History
	store   storage.Store
	id      storage.ID
}

// ReadAt is that of a segment.Source.
func (o opened) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return o.history.readers.readAt(ctx, o.store, o.id, p, off)
}

// newestTime returns the append time in milliseconds of the newest record of link
// i, which is not the last one: the next segment's header states it.
func (l *Log) newestTime(ctx context.Context, v *view, i int) (int64, error) {
	number := v.chain[i].name.Number
	if ms, known := l.times.of(number); known {
		return ms, nil
	}
	id := l.segmentID(v.chain[i+1].name)
	header, _, err := segment.ReadHeader(ctx, opened{l.history, l.cfg.Store, id}, id.String())
	if err != nil {
		return 0, storeError("header of", id, err)
	}
	l.times.set(number, header.Time)
	return header.Time, nil
}

// OffsetForTime returns the first offset whose batch was appended at t or later,
// by the clock of the node that stored it, to the millisecond; the end of the log
// if there is none. Clients' timestamps have no say. It reads at most a few
// segments' headers and a part of one segment.
func (l *Log) OffsetForTime(ctx context.Context, t time.Time) (talos.Offset, error) {
	v := l.view.Load()
	if v.ended {
		<-l.done
		return 0, l.err
	}
	ms := t.UnixMilli()
	if len(v.chain) == 0 || v.rng.Start == v.rng.End || ms > v.newest {
		return v.rng.End, nil
	}
	var failed error
	at := 0
	first := sort.Search(len(v.chain)-1, func(i int) bool {
		if failed != nil {
			return true
		}
		newest, err := l.newestTime(ctx, v, i)
		failed, at = err, i
		return err == nil && newest >= ms
	})
	for i := first; failed == nil && i < len(v.chain); i++ {
		o, ok, err := l.timeInLink(ctx, v, i, ms)
		if ok {
			return o, nil
		}
		failed, at = err, i
	}
	if errors.Is(failed, storage.ErrNotFound) {
		return 0, l.vanished(ctx, v, at, failed)
	}
	return v.rng.End, failed
}

// timeInLink looks for the first record of link i that is as new.
func (l *Log) timeInLink(ctx context.Context, v *view, i int, ms int64) (talos.Offset, bool, error) {
	in, limit := v.chain[i], v.rng.End
	if i+1 < len(v.chain) {
		limit = v.chain[i+1].name.Base
	}
	from := max(in.name.Base, v.rng.Start)
	if from >= limit {
		return 0, false, nil
	}
	seg, err := l.openLink(ctx, v, i, limit)
	if err != nil {
		return 0, false, err
	}
	id := l.segmentID(in.name)
	src := source{history: l.history, store: l.cfg.Store, id: id, end: seg.end}
	o, _, ok, err := segment.OffsetForTime(ctx, src, segment.Query{
		ID: id.String(), Salt: seg.salt, From: from, Limit: limit,
		Pos: max(seg.index.FindTime(ms), seg.index.Find(from)), End: seg.end,
	}, ms)
	if err != nil {
		return 0, false, fmt.Errorf("look for a time: %w", storeError("read", id, err))
	}
	return o, ok, nil
}
