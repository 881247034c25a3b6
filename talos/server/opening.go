package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// endedLocked notes that the log ended by itself. One that lived for a while
// may be opened again at once.
func (p *partitions) endedLocked(s *slot) {
	err := s.log.Err()
	if time.Since(s.opened) > maxOpenBackoff {
		s.failures = 0
	}
	s.log = nil
	p.setLiveLocked(p.live - 1)
	s.failedLocked(err)
}

func (s *slot) failedLocked(err error) {
	s.err = err
	s.retryAt = time.Now().Add(backoff(s.failures, minOpenBackoff, maxOpenBackoff))
	s.failures++
}

// backoff doubles first with each failure, up to limit.
func backoff(failures int, first, limit time.Duration) time.Duration {
	d := first
	for range failures {
		if d >= limit {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}

// startLocked begins to open a partition, unless that is under way: what somebody
// wants comes first.
func (p *partitions) startLocked(s *slot, wanted bool) {
	switch {
	case s.opening == nil:
		s.opening, s.wanted, s.begun = make(chan struct{}), wanted, false
		if wanted {
			p.queue = append(p.queue, s)
		} else {
			p.later = append(p.later, s)
		}
	case wanted && !s.wanted:
		s.wanted = true
		p.queue = append(p.queue, s)
	default:
		return
	}
	if p.working < maxOpening {
		p.working++
		p.workers.Go(p.work)
	}
}

// nextLocked returns what to open next, or nil.
func (p *partitions) nextLocked() *slot {
	for _, queue := range []*[]*slot{&p.queue, &p.later} {
		for len(*queue) > 0 {
			s := (*queue)[0]
			*queue = (*queue)[1:]
			if s.opening != nil && !s.begun {
				s.begun, s.wanted = true, true
				return s
			}
		}
		*queue = nil
	}
	return nil
}

// work opens what is in the queues, and ends when they are empty.
func (p *partitions) work() {
	for {
		p.mu.Lock()
		s := p.nextLocked()
		if s == nil {
			p.working--
			p.mu.Unlock()
			return
		}
		skip := s.dropped
		p.mu.Unlock()
		p.attempt(s, skip)
	}
}

// attempt opens one partition, unless that is not wanted anymore.
func (p *partitions) attempt(s *slot, skip bool) {
	var log *partition.Log
	err := notServing(s.id, "the node gives it up")
	if !skip {
		ctx, cancel := context.WithTimeout(p.ctx, openTimeout)
		defer cancel()
		log, err = p.openOne(ctx, s)
		p.outcome(err)
		if kind := talos.KindOf(err); err != nil && ctx.Err() != nil && (kind == talos.Canceled || kind == talos.Timeout) {
			// Of the attempt, not of those who wait for it.
			err = &talos.Error{Kind: talos.NotServing, Op: "server.partitions", Subject: s.id.String(), Detail: "it was not opened in time", Cause: err}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for err == nil && s.config != s.topic.Config {
		// The topic was altered meanwhile.
		p.mu.Unlock()
		err = p.followNew(p.ctx, s, log)
		p.mu.Lock()
	}
	defer p.unparkLocked(s)
	close(s.opening)
	s.opening = nil
	if err != nil {
		if !skip && p.ctx.Err() == nil && (s.err == nil || talos.KindOf(err) != talos.KindOf(s.err)) {
			// Once for each change: a partition in use is tried every few seconds.
			p.logger.Warn("partition not opened, trying again with its next use",
				"partition", s.id.String(), "topic", string(s.topic.Name), "error", err)
		}
		s.failedLocked(err)
		return
	}
	if s.dropped {
		// closeSlot waits for it.
		s.err = nil
	}
	s.log, s.opened, s.err = log, time.Now(), nil
	p.setLiveLocked(p.live + 1)
}

// openOne opens a partition as its topic is now.
func (p *partitions) openOne(ctx context.Context, s *slot) (*partition.Log, error) {
	p.mu.Lock()
	topic := s.topic
	p.mu.Unlock()
	log, err := p.open(ctx, topic, s.id.Number)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	s.config = topic.Config
	p.mu.Unlock()
	return log, nil
}
