package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// following is the work of making one partition's log follow its topic.
type following struct {
	over chan struct{} // closed when it does, or can't
	err  error         // written before over is closed
}

// configure makes the partitions of a topic follow what the view says of it, and waits
// for all; it returns the errors of those that could not.
func (p *partitions) configure(ctx context.Context, id talos.TopicID) error {
	var errs []error
	for _, f := range p.startConfigure(id) {
		select {
		case <-f.over:
			errs = append(errs, f.err)
		case <-ctx.Done():
			return fmt.Errorf("configure the partitions of %s: %w", id, context.Cause(ctx))
		}
	}
	return errors.Join(errs...)
}

// startConfigure is configure that does not wait: one partition whose store does not
// answer keeps nothing else from following the view. A log that has ended is none: it
// is opened as the topic is then.
func (p *partitions) startConfigure(id talos.TopicID) []*following {
	p.mu.Lock()
	defer p.mu.Unlock()
	// With mu held, so that of two calls the later one has what is newer.
	topic, exists := p.view.TopicOf(id)
	if !exists || p.closed {
		return nil
	}
	limit := make(chan struct{}, maxOpening)
	var all []*following
	for _, s := range p.slots {
		if s.id.Topic != id {
			continue
		}
		s.topic = topic
		if s.log == nil || s.left != nil || s.config == topic.Config {
			continue
		}
		if s.following == nil {
			s.following = &following{over: make(chan struct{})}
			p.workers.Go(func() { p.keepUp(s, limit) })
		}
		all = append(all, s.following)
	}
	return all
}

// keepUp makes a slot's log follow its topic, until it does, and has a place of limit
// meanwhile. One goroutine at a time calls it for a slot.
func (p *partitions) keepUp(s *slot, limit chan struct{}) {
	var err error
	select {
	case limit <- struct{}{}:
		defer func() { <-limit }()
	case <-p.ctx.Done():
		err = context.Cause(p.ctx)
	}
	for {
		p.mu.Lock()
		log, f := s.log, s.following
		gone := log == nil || s.left != nil || s.dropped || hasEnded(log)
		if err != nil || gone || s.config == s.topic.Config {
			s.following = nil
			if !gone {
				f.err = err
			}
			close(f.over)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		err = p.follow(p.ctx, s, log)
	}
}

func hasEnded(log *partition.Log) bool {
	select {
	case <-log.Done():
		return true
	default:
		return false
	}
}

// follow makes a slot's log, which need not be in it yet, follow its topic; nil
// for a log that has ended, too. One goroutine at a time calls it for a slot.
func (p *partitions) follow(ctx context.Context, s *slot, log *partition.Log) error {
	for {
		p.mu.Lock()
		want, have := s.topic.Config, s.config
		p.mu.Unlock()
		if want == have {
			return nil
		}
		if err := log.Configure(ctx, want); err != nil {
			if hasEnded(log) {
				return nil
			}
			return err
		}
		p.mu.Lock()
		s.config = want
		p.mu.Unlock()
	}
}

// followNew is follow for a log that is not in its slot yet: one that has ended
// is an error, and one that can't follow is closed.
func (p *partitions) followNew(ctx context.Context, s *slot, log *partition.Log) error {
	if err := p.follow(ctx, s, log); err != nil {
		return errors.Join(err, log.Close(ctx))
	}
	if !hasEnded(log) {
		return nil
	}
	if err := log.Err(); err != nil {
		return err
	}
	return notServing(s.id, "its log ended while it was opened")
}
