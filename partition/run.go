package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// appendTimeout is how long an append may take before its segment counts as
	// broken.
	appendTimeout = 20 * time.Second
	// never is a timer that no test and no process lives to see.
	never = 1000 * time.Hour
)

// run is the owner: it takes events until the log ends.
func (l *Log) run() {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		err := l.step()
		if err != nil {
			l.finish(err)
			return
		}
		timer.Reset(l.untilDeadline())
		var roll <-chan struct{}
		if l.active != nil && len(l.inflight) == 0 {
			roll = l.active.roll
		}
		select {
		case <-roll:
		case <-l.inbox.wake:
		case <-timer.C:
		case <-l.ctx.Done():
		}
	}
}

// step handles all that has happened. An error ends the log.
func (l *Log) step() error {
	if err := l.handleCompletions(); err != nil {
		return err
	}
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if err := l.handleTrims(); err != nil {
		return err
	}
	l.handleConfigs()
	if err := l.pump(); err != nil {
		return err
	}
	if !l.resegment {
		l.answerConfigs(nil)
	}
	if err := l.retainIfDue(); err != nil {
		return err
	}
	l.sweepIfDue()
	if l.inbox.isClosing() && len(l.inflight) == 0 && !l.inbox.waiting() {
		l.sealActive(sealForClose)
		return errClosed
	}
	return nil
}

var errClosed = errors.New("closed")

// handleCompletions acknowledges what the store has made durable, and replaces
// a segment that failed or does not answer.
func (l *Log) handleCompletions() error {
	var broken error
	for _, c := range l.inbox.takeCompletions() {
		switch {
		case c.from != l.active || broken != nil:
			// Of a segment that was given up: its word counts no more.
		case c.err != nil:
			broken = c.err
		default:
			l.acknowledge()
		}
	}
	if broken == nil && l.active != nil && len(l.inflight) > 0 && time.Since(l.inflight[0].issued) >= appendTimeout {
		broken = fmt.Errorf("no answer for %v", appendTimeout)
	}
	if broken == nil {
		return nil
	}
	return l.replaceBroken(broken)
}

// acknowledge ends the oldest append in flight.
func (l *Log) acknowledge() {
	p := l.inflight[0]
	l.inflight[0] = nil
	l.inflight = l.inflight[1:]
	l.addInflight(-p.size)
	l.active.end = p.end
	l.active.writer.Acknowledged(p.end)
	l.acked = p.next
	if len(p.payload) > 0 {
		// Before readers wake, so that they find it; they see it with the view's end.
		l.tail.add(group{base: p.base, next: p.next, payload: p.payload})
	}
	l.publish(func(v *view) {
		v.rng.End, v.newest = p.next, p.time
		open := l.active.describe()
		v.open = &open
	})
	p.answer(l.rec.Epoch)
}

// untilDeadline says when run must look again though nothing happens.
func (l *Log) untilDeadline() time.Duration {
	wait := never
	if at, ok := l.sweeps.next(); ok {
		wait = time.Until(at)
	}
	if !l.retention.at.IsZero() {
		wait = min(wait, time.Until(l.retention.at))
	}
	switch {
	case l.active == nil:
	case len(l.inflight) > 0:
		wait = l.orCommit(min(wait, time.Until(l.inflight[0].issued.Add(appendTimeout))))
	default:
		wait = l.orCommit(min(wait, time.Until(l.active.created.Add(l.maxAge))))
		if l.traits.IdleClose > 0 {
			wait = min(wait, time.Until(l.lastUsed.Add(l.traits.IdleClose)))
		}
	}
	return max(0, wait)
}

// orCommit is wait, or less if requests wait for the store's commit interval. It
// goes by what pump has seen: the interval may have ended since.
func (l *Log) orCommit(wait time.Duration) time.Duration {
	if !l.commitAt.IsZero() && l.inbox.waiting() {
		return min(wait, time.Until(l.commitAt))
	}
	return wait
}

// finish ends the log: everything unanswered fails, nothing runs afterwards.
func (l *Log) finish(why error) {
	l.err = why
	inFlight := why
	switch {
	case errors.Is(why, errClosed):
		l.err = l.ended("it was closed")
		inFlight = l.err
	case l.ctx.Err() != nil:
		l.err = l.ended("it was given up")
		// NotServing would promise that nothing was stored, and the store may do so yet.
		inFlight = l.deposed("it was given up while the store had the append; the next owner knows what became of it", nil)
	default:
		l.metrics.finished(why)
		l.log.Warn("partition ended", "error", why, "epoch", l.rec.Epoch, "end", l.acked)
	}
	l.inbox.close(l.err)
	l.failInflight(inFlight)
	for _, r := range l.inbox.takeTrims() {
		r.done <- l.err
	}
	l.handleConfigs()
	l.answerConfigs(l.err)
	for l.inbox.waiting() {
		requests, _ := l.inbox.take(maxQueueBytes)
		for _, r := range requests {
			r.done(Appended{}, l.err)
		}
	}
	if !errors.Is(why, errClosed) {
		// Whatever still runs for a log that has lost its right, or its time, is
		// of no use.
		l.stop(why)
	}
	if l.active != nil {
		l.abandonActive()
	}
	l.background.Wait()
	l.stop(why)
	l.closeOwn()
	l.tail.clear()
	l.publish(func(v *view) { v.ended, v.open = true, nil })
	close(l.done)
}

// closeOwn closes what belongs to this log alone.
func (l *Log) closeOwn() {
	if l.cfg.History == nil {
		l.history.Close()
	}
}

// failInflight fails what is in flight and forgets that it had offsets.
func (l *Log) failInflight(err error) {
	for _, p := range l.inflight {
		p.fail(err)
	}
	l.inflight = nil
	l.addInflight(-l.inflightBytes)
	l.next = l.acked
	l.producers.truncate(l.acked)
}

// deposed is the error of a log that found a later owner, or its right gone.
func (l *Log) deposed(detail string, cause error) error {
	return &talos.Error{
		Kind: talos.NotOwner, Op: "partition.Log", Subject: l.id.String(), Detail: detail, Cause: cause,
	}
}
