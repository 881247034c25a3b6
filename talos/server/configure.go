package server

import (
	"context"
	"errors"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/errgroup"
)

// configure makes the partitions of topics follow what those are now. It tries
// all and returns the first error; what failed is tried again with the next call.
// A log that has ended is none: it is opened as the topic is then.
func (p *partitions) configure(ctx context.Context, topics ...talos.Topic) error {
	byID := make(map[talos.TopicID]talos.Topic, len(topics))
	for _, t := range topics {
		byID[t.ID] = t
	}
	var all errgroup.Group
	all.SetLimit(maxOpening)
	p.mu.Lock()
	var behind []*slot
	for _, s := range p.slots {
		topic, ok := byID[s.id.Topic]
		if !ok {
			continue
		}
		s.topic = topic
		if s.log != nil && s.left == nil && s.config != topic.Config {
			behind = append(behind, s)
		}
	}
	p.mu.Unlock()
	for _, s := range behind {
		all.Go(func() error {
			p.mu.Lock()
			log := s.log
			p.mu.Unlock()
			if log == nil {
				return nil
			}
			return p.follow(ctx, s, log)
		})
	}
	return all.Wait()
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
			select {
			case <-log.Done():
				return nil
			default:
				return err
			}
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
	select {
	case <-log.Done():
		if err := log.Err(); err != nil {
			return err
		}
		return notServing(s.id, "its log ended while it was opened")
	default:
		return nil
	}
}
