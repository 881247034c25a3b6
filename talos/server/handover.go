package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
)

// closeTimeout bounds how long a partition that moves may take to be closed in good
// order; then its next owner recovers what is left.
const closeTimeout = 10 * time.Second

// handOverLocked begins to give a partition to its next owner, unless that is under
// way. From now on nothing is appended to it.
func (p *partitions) handOverLocked(s *slot) {
	if s.left != nil {
		return
	}
	s.left = make(chan struct{})
	begun := time.Now()
	p.workers.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, closeTimeout)
		defer cancel()
		if err := p.closeSlot(ctx, s); err != nil {
			p.logger.Warn("a partition that moves was not closed in good order, its next owner recovers it", "partition", s.id.String(), "error", err)
		}
		p.metrics.handoverSeconds.Observe(time.Since(begun).Seconds())
		p.mu.Lock()
		defer p.mu.Unlock()
		p.releases[s.id.Topic] = append(p.releases[s.id.Topic], s)
		if !p.releasing[s.id.Topic] {
			p.releasing[s.id.Topic] = true
			p.workers.Go(func() { p.release(s.id.Topic) })
		}
	})
}

// release tells the next owners of a topic's partitions that they are theirs: all
// that are closed, in one write, again while more have come meanwhile.
func (p *partitions) release(topic talos.TopicID) {
	for failures := 0; ; {
		p.mu.Lock()
		closed := p.releases[topic]
		if len(closed) == 0 {
			delete(p.releases, topic)
			delete(p.releasing, topic)
			p.mu.Unlock()
			return
		}
		p.releases[topic] = nil
		p.mu.Unlock()
		numbers := make([]int32, 0, len(closed))
		for _, s := range closed {
			numbers = append(numbers, s.id.Number)
		}
		err := p.meta.Release(p.ctx, topic, numbers)
		p.outcome(err)
		if err != nil && p.ctx.Err() == nil && talos.Retryable(err) && talos.KindOf(err) != talos.NotOwner {
			p.logger.Warn("partitions not handed over yet, trying again", "topic", topic.String(), "partitions", len(numbers), "error", err)
			p.mu.Lock()
			p.releases[topic] = append(p.releases[topic], closed...)
			p.mu.Unlock()
			wait(p.ctx, backoff(failures, minRetry, maxRetry))
			failures++
			continue
		}
		failures = 0
		p.leftAll(closed)
	}
}

// leftAll ends hand-overs. If a partition is this node's again, or still, it is
// opened with its next use.
func (p *partitions) leftAll(slots []*slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slots {
		if p.slots[s.id] == s {
			delete(p.slots, s.id)
		}
		s.dropped = true
		p.unparkLocked(s)
		close(s.left)
		p.metrics.handedOver.Inc()
	}
}
