package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
)

// lookTimeout bounds one look for the topic's partitions.
const lookTimeout = 10 * time.Second

// reach returns the link of a lane if its stream takes requests; else it sees to
// it that it will.
func (l *pipeline) reach(n *lane, now time.Time) *link {
	if n.address == "" {
		l.look(now)
		return nil
	}
	k := l.links[n.address]
	if k == nil {
		k = &link{address: n.address, byID: make(map[uint64]*batchInFlight)}
		l.links[n.address] = k
	}
	switch {
	case k.opened:
		return k
	case k.session != nil: // it is being opened
	case now.Add(alarmSlack).Before(k.reopenAt):
		l.wakeBy(k.reopenAt)
	default:
		l.openSession(k)
	}
	return nil
}

// openSession starts a stream; an event tells when it is open.
func (l *pipeline) openSession(k *link) {
	ctx, end := context.WithCancel(l.ctx)
	s := &session{link: k, send: make(chan *talosv1.ProduceRequest, sessionWindow), room: l.room, end: end}
	k.session, k.openedAt = s, time.Time{}
	l.others.Go(func() {
		defer end()
		s.run(ctx, l.client, l.report)
	})
}

// move makes a lane go to its owner; nothing of it is unanswered. The link that it
// leaves ends if it was the last lane there.
func (l *pipeline) move(n *lane) {
	before := n.address
	n.address = n.owner
	if before == "" {
		return
	}
	l.logger.Info("partition moved", "partition", n.partition, "from", before, "to", n.address)
	for _, other := range l.lanes {
		if other != nil && other.address == before {
			return
		}
	}
	if k := l.links[before]; k != nil {
		k.drop()
		delete(l.links, before)
	}
}
