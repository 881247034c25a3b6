package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	// opTimeout bounds each call of the store and of the record, but for appends.
	opTimeout = 30 * time.Second
	// startAttempts is how often a segment is started before the appends that wait
	// for it are refused; each attempt has an epoch of its own.
	startAttempts = 2
	// maxBackground bounds the segments that are sealed or recovered behind the
	// back of the run goroutine; the next one waits for a place.
	maxBackground = 8
)

// active is the segment being written.
type active struct {
	name     talos.SegmentName
	id       storage.ID
	appender storage.Appender
	writer   *segment.Writer
	created  time.Time
	// issued is when the last append was.
	issued time.Time
	// roll is closed when the store asks for another segment.
	roll <-chan struct{}
	// end is the length that is acknowledged.
	end int64
}

// asked tells whether the store would have the segment sealed.
func (a *active) asked() bool {
	select {
	case <-a.roll:
		return true
	default:
		return false
	}
}

func (a *active) describe() openSegment {
	return openSegment{name: a.name, salt: a.writer.Salt(), index: a.writer.Index(), end: a.end}
}

// sealReason is why a segment is ended in good order; it shows in the log.
type sealReason string

const (
	sealForSize     sealReason = "size"
	sealForAge      sealReason = "age"
	sealForIdleness sealReason = "idle"
	sealForClose    sealReason = "close"
	sealForStore    sealReason = "store"
	sealForConfig   sealReason = "configuration"
	// sealForRetention ends an empty segment.
	sealForRetention sealReason = "retention"
)

// fatalError marks an error after which the log must not go on.
type fatalError struct{ error }

func (f fatalError) Unwrap() error { return f.error }

// ensureSegment starts a segment for the appends that wait, or refuses them.
func (l *Log) ensureSegment() error {
	err := l.startFailedErr
	if err == nil || time.Since(l.startFailed) >= startRetry {
		err = l.startSegment()
	}
	if err == nil || errors.As(err, &fatalError{}) {
		return err
	}
	if l.ctx.Err() != nil {
		// It failed of that. Nothing of what waits was given to the store.
		return context.Cause(l.ctx)
	}
	requests, _ := l.inbox.take(maxQueueBytes)
	for _, r := range requests {
		r.done(Appended{}, err)
	}
	return nil
}

// startSegment makes the next segment of the chain, from the acknowledged end
// on. A failure leaves the log without a segment, under a fresh epoch.
func (l *Log) startSegment() error {
	for attempt := 1; ; attempt++ {
		err := l.tryStart()
		if err == nil {
			l.startFailedErr = nil
			return nil
		}
		l.metrics.startsFailed.Inc()
		l.log.Warn("segment not started", "error", err, "epoch", l.rec.Epoch, "attempt", attempt)
		if raised := l.raise(); raised != nil {
			return raised
		}
		if attempt == startAttempts {
			l.startFailed, l.startFailedErr = time.Now(), err
			return err
		}
	}
}

// tryStart is one attempt: create, then swap the tail, and only then use it.
func (l *Log) tryStart() error {
	name := talos.SegmentName{Number: l.rec.Tail + 1, Epoch: l.rec.Epoch, Base: l.acked}
	head := segment.Header{
		Cluster: l.cfg.Cluster, Topic: l.id.Topic, TopicName: l.cfg.Topic.Name, Partition: l.id.Number,
		Name: name, Previous: l.tailName(), Created: time.Now(), Window: window,
	}
	l.producers.expire(time.Now(), l.acked)
	at := segment.Meta{Base: l.acked, Next: l.acked, Acked: l.acked, Time: l.ackedTime()}
	writer, bytes, err := segment.NewWriter(head, l.producers.snapshot(l.acked), at, l.traits.Chunk)
	if err != nil {
		return fatalError{&talos.Error{Kind: talos.Internal, Op: "partition.startSegment", Subject: l.id.String(), Cause: err}}
	}
	ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
	defer cancel()
	id := storage.ID{Folder: l.id.String(), Name: name.String()}
	appender, err := l.cfg.Store.Create(ctx, id, bytes, l.topic.Acknowledges())
	if err != nil {
		return storeError("create segment", id, err)
	}
	created := &active{name: name, id: id, appender: appender, writer: writer, created: time.Now(), end: writer.Size(), roll: appender.Roll()}
	next := l.rec
	next.Tail = name.Number
	if err := l.cfg.Records.Swap(ctx, l.rec, next); err != nil {
		l.giveUp(created)
		return fmt.Errorf("swap the tail of %v to %d: %w", l.id, next.Tail, err)
	}
	writer.Acknowledged(created.end)
	l.metrics.started.Inc()
	l.rec, l.active = next, created
	open := created.describe()
	l.publish(func(v *view) {
		v.chain = append(v.chain, link{name: name})
		v.open = &open
	})
	l.planRetention()
	return nil
}

// ackedTime is the append time at which the next segment's data begins.
func (l *Log) ackedTime() int64 {
	if len(l.inflight) > 0 {
		return l.inflight[0].time
	}
	return l.lastTime
}

func (l *Log) tailName() talos.SegmentName {
	chain := l.view.Load().chain
	if len(chain) == 0 {
		return talos.SegmentName{}
	}
	return chain[len(chain)-1].name
}

// raise makes sure, after a create or a swap of unknown outcome, that neither
// can take effect anymore, and that nobody else came between.
func (l *Log) raise() error {
	ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
	defer cancel()
	rec, err := l.cfg.Records.Raise(ctx)
	switch {
	case err != nil:
		// Whether it was raised is unknown, so the own epoch is as well.
		return fatalError{fmt.Errorf("raise the epoch of %v: %w", l.id, err)}
	case rec.Epoch != l.rec.Epoch+1:
		return fatalError{l.deposed(fmt.Sprintf("the epoch went from %d to %d", l.rec.Epoch, rec.Epoch), nil)}
	case rec.Tail == l.rec.Tail+1:
		// The swap had taken effect: the segment counts, empty.
		l.publish(func(v *view) {
			v.chain = append(v.chain, link{name: talos.SegmentName{Number: rec.Tail, Epoch: l.rec.Epoch, Base: l.acked}})
		})
	case rec.Tail != l.rec.Tail:
		return fatalError{brokenChain(l.id, "the tail went from %d to %d under one owner", l.rec.Tail, rec.Tail)}
	}
	moved := rec.Start != l.rec.Start
	l.rec = rec
	l.publish(func(v *view) { v.epoch = rec.Epoch })
	if moved {
		l.startMoved()
	}
	return nil
}

// replaceBroken goes on in a new segment after the active one failed: with what
// was not acknowledged, under the same offsets, without waiting for the old one.
func (l *Log) replaceBroken(cause error) error {
	l.metrics.ended.WithLabelValues("broken").Inc()
	l.log.Warn("segment broken", "error", cause, "segment", l.active.name.String(), "acknowledged", l.acked)
	l.abandonActive()
	ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
	defer cancel()
	// The usual reason is a later owner; asking first saves it a useless segment.
	if rec, err := l.cfg.Records.Read(ctx); err == nil && rec.Epoch != l.rec.Epoch {
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one was %d", rec.Epoch, l.rec.Epoch), cause)
	}
	if err := l.startSegment(); err != nil {
		if errors.As(err, &fatalError{}) {
			return err
		}
		l.failInflight(err)
		return nil
	}
	l.resend()
	return nil
}

// resend issues again what was in flight when its segment broke.
func (l *Log) resend() {
	old := l.inflight
	l.inflight = nil
	l.addInflight(-l.inflightBytes)
	var orphans []answer
	for _, p := range old {
		if len(p.payload) == 0 {
			orphans = append(orphans, p.answers...)
			continue
		}
		p.answers = append(orphans, p.answers...)
		orphans = nil
		frame := l.active.writer.Buffer(len(p.payload))
		head := len(frame)
		frame = append(frame, p.payload...)
		p.payload = frame[head:len(frame):len(frame)]
		placeAgain(p.payload, l.rec.Epoch)
		l.issue(p, l.active.writer.Data(frame, l.meta(p)))
	}
	if n := len(l.inflight); n > 0 {
		l.inflight[n-1].answers = append(l.inflight[n-1].answers, orphans...)
		return
	}
	(&pending{answers: orphans}).answer(l.rec.Epoch)
}

// placeAgain writes a newer epoch into batches that have their offsets.
func placeAgain(payload []byte, epoch talos.Epoch) {
	for b, err := range batch.All(payload) {
		if err != nil {
			return // can't be: they were taken apart when they were queued
		}
		batch.Place(b.Bytes, b.Base, epoch)
	}
}

// abandonActive lets go of the active segment; the background recovers it.
func (l *Log) abandonActive() {
	a := l.active
	l.active, l.resegment = nil, false
	l.times.set(a.name.Number, l.ackedTime())
	l.publish(func(v *view) { v.chain = withSize(v.chain, a.name, a.end) })
	l.planRetention()
	l.giveUp(a)
}

func (l *Log) giveUp(a *active) {
	l.inBackground(func() {
		a.appender.Abandon()
		l.recoverSegment(a.id)
	})
}

// sealActive ends the active segment in good order. Nothing is in flight, so
// the background can take its time.
func (l *Log) sealActive(why sealReason) {
	if seal := l.endActive(why); seal != nil {
		l.inBackground(seal)
	}
}

// endActive lets go of the active segment, if there is one, and returns what seals it.
func (l *Log) endActive(why sealReason) (seal func()) {
	a := l.active
	if a == nil {
		return nil
	}
	l.active, l.resegment = nil, false
	l.producers.expire(time.Now(), l.acked)
	l.metrics.ended.WithLabelValues(string(why)).Inc()
	at := segment.Meta{Base: l.acked, Next: l.acked, Acked: l.acked, Time: l.lastTime}
	footer := a.writer.Footer(at, l.producers.snapshot(l.acked))
	size := a.writer.Size()
	l.publish(func(v *view) {
		v.open = nil
		v.chain = withSize(v.chain, a.name, size)
	})
	l.times.set(a.name.Number, l.lastTime)
	l.planRetention()
	if why == sealForIdleness {
		l.tail.clear()
	}
	return func() {
		ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
		defer cancel()
		a.appender.Append(footer, func(error) {}) // Seal reports the failure
		if err := a.appender.Seal(ctx); err != nil {
			l.log.Warn("segment not sealed", "error", err, "segment", a.name.String())
			a.appender.Abandon()
			l.recoverSegment(a.id)
			return
		}
		l.log.Debug("segment sealed", "segment", a.name.String(), "reason", string(why), "bytes", size)
	}
}

// recoverSegment closes a segment that this log wrote and gave up. Failing is
// no harm: whoever opens the partition next does it again.
func (l *Log) recoverSegment(id storage.ID) {
	ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
	defer cancel()
	if _, err := l.cfg.Store.Recover(ctx, id); err != nil && l.ctx.Err() == nil {
		l.log.Warn("segment not recovered yet", "error", err, "segment", id.String())
	}
}

// inBackground runs f beside the run goroutine; finish waits for it. Where all
// places are taken it waits for one, unless the log is being given up.
func (l *Log) inBackground(f func()) {
	release := func() {}
	select {
	case l.slots <- struct{}{}:
		release = func() { <-l.slots }
	case <-l.ctx.Done():
	}
	l.background.Go(func() {
		defer release()
		f()
	})
}

// withSize returns a chain in which the named link has a size, without touching
// the old one.
func withSize(chain []link, name talos.SegmentName, size int64) []link {
	next := append([]link(nil), chain...)
	for i := range next {
		if next[i].name == name {
			next[i].size = size
		}
	}
	return next
}

// storeError names what the store was asked for, and makes sure that the error
// has a kind which says what to do.
func storeError(op string, id storage.ID, err error) error {
	if k := talos.KindOf(err); k != talos.Internal && k != talos.Canceled {
		return fmt.Errorf("%s %v: %w", op, id, err)
	}
	return &talos.Error{Kind: talos.StoreUnavailable, Op: "partition: " + op, Subject: id.String(), Cause: err}
}
