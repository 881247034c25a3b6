package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
)

// event is what other goroutines tell the pipeline; apply runs in its own.
type event interface {
	apply(l *pipeline)
}

type (
	// streamOpened: the session's stream takes requests.
	streamOpened struct{}
	// streamBroken: the session is over.
	streamBroken struct{ err error }
	// answered: the node answered a batch.
	answered struct{ response *talosv1.ProduceResponse }
	// renewed: a new producer id is here.
	renewed struct{ id producerID }
)

// openSession starts a stream; an event tells when it is open.
func (l *pipeline) openSession() {
	ctx, end := context.WithCancel(l.ctx)
	s := &session{send: make(chan *talosv1.ProduceRequest), end: end}
	l.session, l.openedAt = s, time.Time{}
	l.others.Go(func() { s.run(ctx, l.client.log, l.report) })
}

// report tells the pipeline an event, as long as it listens.
func (l *pipeline) report(e event) {
	select {
	case l.events <- e:
	case <-l.ctx.Done():
	}
}

func (streamOpened) apply(l *pipeline) {
	if l.failures > 0 {
		l.logger.Info("produce stream opened again")
	}
	l.opened, l.openedAt = true, time.Now()
	l.pumpAll()
}

func (l *pipeline) pumpAll() {
	now := time.Now()
	for _, n := range l.lanes {
		if n != nil {
			l.pump(n, now)
		}
	}
}

func (e streamBroken) apply(l *pipeline) {
	err := statusError("sdk.Producer", string(l.p.topic.Name), e.err)
	l.session.end()
	l.session, l.opened, l.out = nil, false, nil
	clear(l.byID)
	if l.fatal != nil {
		return
	}
	for _, n := range l.lanes {
		if n != nil {
			n.broke()
		}
	}
	switch talos.KindOf(err).Class().Code {
	case codes.InvalidArgument, codes.NotFound:
		// The node will not take it the next time either.
		l.die(err)
		return
	default:
	}
	if !l.openedAt.IsZero() && time.Since(l.openedAt) > maxBackoff {
		l.failures = 0
	}
	if l.failures == 0 {
		l.logger.Warn("produce stream broke, it will be opened again", "error", err)
	}
	l.lastErr = err
	l.reopenAt = time.Now().Add(backoffAfter(l.failures))
	l.failures++
	l.wakeBy(l.reopenAt)
}

func (e answered) apply(l *pipeline) {
	f, ok := l.byID[e.response.GetId()]
	if !ok {
		return // it failed before its answer came
	}
	delete(l.byID, e.response.GetId())
	n, now := f.lane, time.Now()
	f.unanswered = false
	n.unanswered--
	if a := e.response.GetAppended(); a != nil && a.GetBaseOffset() >= 0 {
		l.acknowledged(f, a)
	} else {
		err := malformed("sdk.Producer", n.subject)
		if w := e.response.GetError(); w != nil {
			err = wireError("", "", w)
			n.epoch = max(n.epoch, talos.Epoch(w.GetOwnerEpoch()))
		}
		l.refused(f, err, now)
	}
	l.deliver(n)
	l.pump(n, now)
	l.watch(n)
}

// askForID fetches a new producer id for all lanes that wait for one: none of
// them has used it.
func (l *pipeline) askForID() {
	if l.asking {
		return
	}
	l.asking = true
	l.others.Go(func() {
		for failures := 0; ; failures++ {
			id, err := l.client.initProducer(l.ctx)
			if err == nil {
				l.report(renewed{id})
				return
			}
			if !pause(l.ctx, backoffAfter(failures)) {
				return
			}
		}
	})
}

func (e renewed) apply(l *pipeline) {
	l.asking = false
	for _, n := range l.lanes {
		if n != nil && n.renewing {
			n.renew(e.id)
		}
	}
	l.pumpAll()
}
