package server

import (
	"context"
	"errors"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// reconcileAll makes the partitions of all topics follow the view. What the node
// owns as the term begins is opened with its first use.
func (p *partitions) reconcileAll() {
	topics := make(map[talos.TopicID]struct{})
	for _, t := range p.view.Topics() {
		topics[t.ID] = struct{}{}
	}
	p.mu.Lock()
	for id := range p.owned {
		topics[id] = struct{}{}
	}
	for id := range p.slots {
		topics[id.Topic] = struct{}{}
	}
	p.mu.Unlock()
	for id := range topics {
		p.reconcile(id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = true
}

// reconcile makes the partitions of one topic follow the view; it waits for nothing.
// One goroutine at a time calls it.
func (p *partitions) reconcile(id talos.TopicID) {
	topic, exists := p.view.TopicOf(id)
	if !exists {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.owned, id)
		p.loseLocked(func(s *slot) bool { return s.id.Topic == id })
		return
	}
	now := p.view.Assignment(id)
	p.mu.Lock()
	before := p.owned[id]
	p.owned[id] = now
	for number := range topic.Partitions {
		p.followOwnerLocked(topic, number, before, now)
	}
	p.mu.Unlock()
	p.startConfigure(id)
}

// followOwnerLocked does what a partition's owner, as it is now, asks for.
func (p *partitions) followOwnerLocked(topic talos.Topic, number int32, before, now coordinator.Assignment) {
	if p.closed {
		return
	}
	id := talos.PartitionID{Topic: topic.ID, Number: number}
	s := p.slots[id]
	_, moves := now.Next[number]
	switch {
	case now.Owner(number) != p.node:
		if s != nil && s.left == nil {
			p.loseLocked(func(other *slot) bool { return other == s })
		}
	case moves:
		if s == nil {
			s = &slot{id: id, topic: topic}
			p.slots[id] = s
		}
		p.handOverLocked(s)
	case s == nil && p.begun && before.Owner(number) != p.node:
		s = &slot{id: id, topic: topic}
		p.slots[id] = s
		p.startLocked(s, false)
	}
}

// loseLocked drops partitions that are another's now, or nobody's. Their new owner
// fences them: nothing is waited for.
func (p *partitions) loseLocked(which func(*slot) bool) {
	lost := p.dropLocked(which)
	for _, s := range lost {
		p.workers.Go(func() {
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			if err := p.closeSlot(ended, s); err != nil && !errors.Is(err, context.Canceled) {
				p.logger.Warn("a partition that was lost was not dropped in good order", "partition", s.id.String(), "error", err)
			}
		})
	}
}
