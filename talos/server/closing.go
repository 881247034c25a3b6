package server

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/errgroup"
)

// closeTopic closes the partitions of a topic that was deleted, so that none is
// opened again.
func (p *partitions) closeTopic(ctx context.Context, topic talos.TopicID) error {
	p.mu.Lock()
	dropped := p.dropLocked(func(s *slot) bool { return s.id.Topic == topic })
	p.mu.Unlock()
	return p.closeSlots(ctx, dropped)
}

// close closes all partitions, in good order until ctx ends, then by force. It
// returns when nothing of them runs anymore.
func (p *partitions) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	dropped := p.dropLocked(func(*slot) bool { return true })
	p.mu.Unlock()
	p.stop()
	err := p.closeSlots(ctx, dropped)
	p.workers.Wait()
	return err
}

func (p *partitions) dropLocked(which func(*slot) bool) []*slot {
	var dropped []*slot
	for id, s := range p.slots {
		if which(s) {
			s.dropped = true
			delete(p.slots, id)
			dropped = append(dropped, s)
		}
	}
	return dropped
}

// closeSlots tries all and returns the first error.
func (p *partitions) closeSlots(ctx context.Context, slots []*slot) error {
	var all errgroup.Group
	all.SetLimit(maxOpening)
	for _, s := range slots {
		all.Go(func() error { return p.closeSlot(ctx, s) })
	}
	return all.Wait()
}

// closeSlot closes the log of a slot that is dropped, or leaves. An attempt to open it that is
// under way ends by itself, within openTimeout.
func (p *partitions) closeSlot(ctx context.Context, s *slot) error {
	p.mu.Lock()
	opening := s.opening
	p.mu.Unlock()
	if opening != nil {
		<-opening
	}
	p.mu.Lock()
	log := s.log
	s.log = nil
	if log != nil {
		p.setLiveLocked(p.live - 1)
	}
	if s.dropped {
		p.unparkLocked(s)
	}
	p.mu.Unlock()
	if log == nil {
		return nil
	}
	if err := log.Close(ctx); err != nil {
		return fmt.Errorf("close %s: %w", s.id, err)
	}
	return nil
}
