package partition

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// removeDelay is how long segments that no longer count are kept, so that
// readers which found them a moment ago can finish.
const removeDelay = time.Minute

// sweepGap is how much longer some are kept, so that those which the start passes
// soon after each other are removed together.
const sweepGap = 10 * time.Second

// sweeps are at most 1 + removeDelay/sweepGap planned removals, oldest first.
type sweeps []sweep

// sweep removes what the start had passed when it was planned: all segments before
// below, and not before at.
type sweep struct {
	begun, at time.Time
	below     talos.SegmentNumber
}

// plan sees to it that the segments before below go.
func (s *sweeps) plan(below talos.SegmentNumber) {
	now := time.Now()
	if n := len(*s); n == 0 || now.Sub((*s)[n-1].begun) >= sweepGap {
		*s = append(*s, sweep{begun: now})
	}
	newest := &(*s)[len(*s)-1]
	newest.at, newest.below = now.Add(removeDelay), below
}

// next tells when there is something to remove.
func (s *sweeps) next() (time.Time, bool) {
	if len(*s) == 0 {
		return time.Time{}, false
	}
	return (*s)[0].at, true
}

// due takes the first one out, if its time has come.
func (s *sweeps) due() (sweep, bool) {
	if at, ok := s.next(); !ok || time.Now().Before(at) {
		return sweep{}, false
	}
	first := (*s)[0]
	*s = (*s)[1:]
	return first, true
}

// trimRequest asks the run goroutine to move the log start.
type trimRequest struct {
	offset talos.Offset
	done   chan error
}

// Trim moves the log start up to offset: what lies below can't be read from then
// on, by anybody, and segments that lie below as a whole are removed a minute
// later. A start that is there already, or beyond, is left alone.
//
// OffsetOutOfRange: offset is above the end. Any other error means that the
// start may have moved or not; ask again.
func (l *Log) Trim(ctx context.Context, offset talos.Offset) error {
	r := trimRequest{offset: offset, done: make(chan error, 1)}
	if err := l.inbox.offerTrim(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// handleTrims answers the trims that wait. An error ends the log.
func (l *Log) handleTrims() error {
	for _, r := range l.inbox.takeTrims() {
		err, fatal := l.trim(r.offset)
		r.done <- err
		if fatal != nil {
			return fatal
		}
	}
	return nil
}

// trim swaps the start. The newest segment always stays: it has the producers'
// state and the end.
func (l *Log) trim(offset talos.Offset) (err, fatal error) {
	v := l.view.Load()
	switch {
	case offset <= l.rec.Start.Offset:
		return nil, nil
	case offset > l.acked:
		return l.outOfRange(offset, v.rng), nil
	}
	first, _ := locate(v.chain, offset, l.acked)
	return l.moveStart(v.chain[first].name.Number, offset)
}

// moveStart swaps the start for one that is not before it: a link of the chain,
// and an offset in it or at its end.
func (l *Log) moveStart(number talos.SegmentNumber, offset talos.Offset) (err, fatal error) {
	next := l.rec
	next.Start = talos.LogStart{Number: number, Offset: max(offset, l.rec.Start.Offset)}
	if next.Start == l.rec.Start {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
	defer cancel()
	if err := l.cfg.Records.Swap(ctx, l.rec, next); err != nil {
		err = fmt.Errorf("swap the start of %v: %w", l.id, err)
		if fatal := l.raise(); fatal != nil {
			return err, fatal
		}
		if l.rec.Start != next.Start {
			return err, nil
		}
		return nil, nil
	}
	l.rec = next
	l.startMoved()
	l.planRetention()
	return nil, nil
}

// startMoved makes readers see the start that the record has.
func (l *Log) startMoved() {
	start := l.rec.Start
	l.publish(func(v *view) {
		v.rng.Start = start.Offset
		for len(v.chain) > 0 && v.chain[0].name.Number < start.Number {
			v.chain = v.chain[1:]
		}
	})
	l.times.forgetBelow(start.Number)
	l.sweeps.plan(start.Number)
}

// sweepIfDue removes, in the background, what no longer counts.
func (l *Log) sweepIfDue() {
	due, ok := l.sweeps.due()
	if !ok {
		return
	}
	epoch := l.rec.Epoch
	l.inBackground(func() {
		// One at a time, so that each segment is removed, and counted, once.
		l.sweeping.Lock()
		defer l.sweeping.Unlock()
		ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
		defer cancel()
		if err := l.sweep(ctx, epoch, due.below); err != nil && l.ctx.Err() == nil {
			// Nothing depends on it: the next trim or opening sweeps again.
			l.log.Warn("segments that no longer count were not all removed", "error", err)
		}
	})
}

// sweep removes the segments that can never count again, oldest first; of those
// that the start has passed, the ones below a number only.
func (l *Log) sweep(ctx context.Context, epoch talos.Epoch, below talos.SegmentNumber) error {
	rec, err := l.cfg.Records.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	if rec.Epoch != epoch {
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one was %d", rec.Epoch, epoch), nil)
	}
	listing, err := l.cfg.Store.List(ctx, l.id.String())
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	sizes := map[string]int64{}
	for _, s := range listing.Segments {
		sizes[s.Name] = s.Size
	}
	rec.Start.Number = min(rec.Start.Number, below)
	for _, name := range garbage(rec, listing.Segments) {
		if err := l.cfg.Store.Remove(ctx, l.segmentID(name)); err != nil {
			return fmt.Errorf("remove %v: %w", name, err)
		}
		l.history.forget(l.segmentID(name))
		if l.cfg.Removed != nil {
			l.cfg.Removed(1, sizes[name.String()])
		}
		l.log.Info("segment removed", "segment", name.String())
	}
	return nil
}

// garbage lists, in the order of their names, the segments that can never count
// again under a record which was read before they were listed: those below the
// start; those of a number of which there is one with a higher epoch in the
// chain, which the listing's order puts behind them; and those beyond the tail
// whose epoch has passed, so that no swap can bring them in.
func garbage(rec talos.PartitionRecord, segments []storage.Info) []talos.SegmentName {
	newest := map[talos.SegmentNumber]talos.Epoch{}
	var names []talos.SegmentName
	for _, s := range segments {
		name, err := talos.ParseSegmentName(s.Name)
		if err != nil {
			continue
		}
		names = append(names, name)
		newest[name.Number] = max(newest[name.Number], name.Epoch)
	}
	var all []talos.SegmentName
	for _, n := range names {
		switch {
		case n.Number < rec.Start.Number,
			n.Number <= rec.Tail && n.Epoch < newest[n.Number],
			n.Number > rec.Tail && n.Epoch < rec.Epoch:
			all = append(all, n)
		}
	}
	return all
}
