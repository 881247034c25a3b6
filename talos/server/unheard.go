package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// maxLooks bounds the topics that are looked up at once, or were a moment ago.
	// Beyond it a node does not say whether a topic exists.
	maxLooks = 64
	// lookTime bounds one look, and lookLife is how long what it found is gone by: as
	// long as those that waited for it take to ask again.
	lookTime = 5 * time.Second
	lookLife = 100 * time.Millisecond
)

// looks are topics that somebody asked for and that the node has not heard of, or
// not of so many partitions. What the node hears comes late: a client may know of a
// topic from another node. So each is looked up in etcd before the node says that it
// does not exist. partitions.mu guards it.
type looks map[talos.TopicID]*look

// look is one question to etcd.
type look struct {
	over    chan struct{} // closed when the node has heard all that there was
	at      time.Time     // when that was; zero before
	err     error         // why it is not known
	waiting []parkedCall  // what goes on then, in order; maxParked at most
}

// parkedCall is a call of withLog.
type parkedCall struct {
	id talos.PartitionID
	f  func(found)
}

// unheard tells whether the node may not deny something of a topic now, and what to
// wait for; nil if that is not known.
func (p *partitions) unheard(id talos.TopicID) (wait <-chan struct{}, unsure bool) {
	now := time.Now()
	if l := p.looks[id]; l != nil && (l.at.IsZero() || now.Sub(l.at) < lookLife) {
		if l.at.IsZero() {
			return l.over, true
		}
		return nil, l.err != nil
	}
	for id, l := range p.looks {
		if !l.at.IsZero() && now.Sub(l.at) >= lookLife {
			delete(p.looks, id)
		}
	}
	if len(p.looks) >= maxLooks {
		return nil, true
	}
	l := &look{over: make(chan struct{})}
	p.looks[id] = l
	p.workers.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, lookTime)
		defer cancel()
		err := p.meta.AwaitTopic(ctx, id)
		if err != nil {
			p.logger.Debug("a topic could not be looked up", "topic", id.String(), "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		l.at, l.err = time.Now(), err
		for _, w := range l.waiting {
			p.withLogLocked(w.id, w.f)
		}
		l.waiting = nil
		close(l.over)
	})
	return l.over, true
}

// parkUnheard makes f wait for the look at its topic that is under way, if there is
// one.
func (p *partitions) parkUnheard(id talos.PartitionID, f func(found)) bool {
	l := p.looks[id.Topic]
	if l == nil || !l.at.IsZero() || len(l.waiting) >= maxParked {
		return false
	}
	l.waiting = append(l.waiting, parkedCall{id, f})
	return true
}
