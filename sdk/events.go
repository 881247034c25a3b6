package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// event is what other goroutines tell the pipeline; apply runs in its own.
type event interface {
	apply(l *pipeline)
}

type (
	// streamOpened: the session's stream takes requests.
	streamOpened struct{ session *session }
	// streamBroken: the session is over.
	streamBroken struct {
		session *session
		err     error
	}
	// answered: the node answered a batch.
	answered struct {
		session  *session
		response *talosv1.ProduceResponse
	}
	// renewed: a new producer id is here.
	renewed struct{ id producerID }
	// found: what a look for the topic's partitions found.
	found struct {
		layout layout
		err    error
	}
)

// report tells the pipeline an event, as long as it listens.
func (l *pipeline) report(e event) {
	select {
	case l.events <- e:
	case <-l.ctx.Done():
	}
}

// current tells whether the session is the one of its link; else it was ended
// before the event came.
func (s *session) current() bool { return s.link.session == s }

func (e streamOpened) apply(l *pipeline) {
	if !e.session.current() {
		return
	}
	k := e.session.link
	if k.failures > 0 {
		l.logger.Info("produce stream opened again", "address", k.address)
	}
	k.opened, k.openedAt = true, time.Now()
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
	if !e.session.current() {
		return
	}
	k, now := e.session.link, time.Now()
	k.drop()
	if l.fatal != nil {
		return
	}
	used := false
	for _, n := range l.lanes {
		if n != nil && n.address == k.address {
			n.broke()
			used = used || !n.idle()
		}
	}
	if refusesStreams(talos.KindOf(e.err)) {
		// The node will not take it the next time either.
		l.die(e.err)
		return
	}
	if !k.openedAt.IsZero() && now.Sub(k.openedAt) > maxBackoff {
		k.failures = 0
	}
	if k.failures == 0 {
		l.logger.Warn("produce stream broke, it will be opened again", "address", k.address, "error", e.err)
	}
	k.lastErr = e.err
	k.reopenAt = now.Add(backoffAfter(k.failures))
	k.failures++
	if used {
		// Its partitions may be elsewhere by now.
		l.look(now)
	}
	l.wakeBy(k.reopenAt)
}

func (e answered) apply(l *pipeline) {
	if !e.session.current() {
		return
	}
	k := e.session.link
	f, ok := k.byID[e.response.GetId()]
	if !ok {
		return // it failed before its answer came
	}
	delete(k.byID, e.response.GetId())
	n, now := f.lane, time.Now()
	f.unanswered = false
	n.unanswered--
	if a := e.response.GetAppended(); a != nil && a.GetBaseOffset() >= 0 {
		l.acknowledged(f, a)
	} else {
		err := malformed("sdk.Producer", n.subject)
		if w := e.response.GetError(); w != nil {
			err = wireError("", "", w)
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

// look asks where the partitions are, at once or, the more often without a
// delivery in between, the later; one look at a time.
func (l *pipeline) look(now time.Time) {
	l.nextLook = now.Add(l.client.cfg.metadataInterval)
	if l.looking {
		return
	}
	l.looking = true
	var delay time.Duration
	if l.looks > 0 {
		delay = backoffAfter(l.looks - 1)
	}
	l.looks++
	l.others.Go(func() {
		if !pause(l.ctx, delay) {
			return
		}
		ctx, cancel := context.WithTimeout(l.ctx, lookTimeout)
		defer cancel()
		layout, err := l.client.layout(ctx, l.p.topic.Name)
		l.report(found{layout, err})
	})
}

func (e found) apply(l *pipeline) {
	l.looking, l.lookErr = false, e.err
	if l.fatal != nil {
		return
	}
	err := e.err
	if err == nil && e.layout.topic.ID != l.p.topic.ID {
		err = &talos.Error{Kind: talos.UnknownTopic, Detail: "the name belongs to another topic by now"}
	}
	switch {
	case talos.KindOf(err) == talos.UnknownTopic && l.missing():
		// A partition's node says so, and so does whoever knows the topics.
		l.die(err)
		return
	case err == nil:
		l.place(e.layout)
	default:
		l.logger.Debug("where the partitions are could not be asked", "error", err)
	}
	l.pumpAll()
	if l.lost() {
		l.look(time.Now())
	}
	l.wakeBy(l.nextLook)
}

// missing tells whether a node said of a partition that it does not exist.
func (l *pipeline) missing() bool {
	for _, n := range l.lanes {
		if n != nil && n.missing != nil {
			return true
		}
	}
	return false
}

// lost tells whether a lane that has something to send knows no way to do so.
func (l *pipeline) lost() bool {
	for _, n := range l.lanes {
		if n == nil || n.idle() {
			continue
		}
		k := l.links[n.address]
		if n.address == "" || n.missing != nil || k == nil || k.session == nil {
			return true
		}
	}
	return false
}

// place takes note of where partitions are, and of new ones. Where a lane gets
// answers it stays: the node that gives them knows better.
func (l *pipeline) place(found layout) {
	if count := int(found.topic.Partitions); count > len(l.lanes) {
		l.logger.Info("the topic has more partitions", "before", len(l.lanes), "now", count)
		l.lanes = append(l.lanes, make([]*lane, count-len(l.lanes))...)
	}
	l.owners = found.owners
	// From here on Send may choose the new ones: their lanes have a place.
	l.p.partitions.Store(int32(len(l.lanes)))
	for _, n := range l.lanes {
		if n == nil {
			continue
		}
		if to := found.owner(n.partition); to != "" && !n.settled {
			n.owner = to
		}
		if n.missing != nil && n.partition >= found.topic.Partitions {
			l.failFrom(n, 0, n.missing)
			l.deliver(n)
		}
		n.missing = nil
	}
}
