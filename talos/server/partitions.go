package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/errgroup"
)

// opener opens one partition of a topic.
type opener func(ctx context.Context, topic talos.Topic, number int32) (*partition.Log, error)

// partitions are the open partitions of one term. Each is opened in the
// background, once at a time:
//
//	         find, openAll           opened
//	(none) ────────────────► opening ──────► open
//	                          ▲  │ failed      │ the log ended by itself
//	            find, later   │  ▼             │
//	                         resting ◄─────────┘
//
// A partition that rests is answered with the error that it rests for. Closing
// its topic, or all, leads back to none from everywhere.
type partitions struct {
	open    opener
	topics  *directory
	logger  *slog.Logger
	metrics *serverMetrics
	// outcome hears of each attempt to open.
	outcome func(error)
	// ctx bounds the opening; stop ends it.
	ctx  context.Context
	stop context.CancelFunc
	// workers are the goroutines that open.
	workers sync.WaitGroup

	mu     sync.Mutex // guards the fields below, and the slots
	closed bool
	slots  map[talos.PartitionID]*slot
	// queue is what waits for a worker, in order.
	queue   []*slot
	working int
	live    int
}

// slot is what is known of one partition.
type slot struct {
	id talos.PartitionID
	// topic is what the topic is now; config is what log follows.
	topic  talos.Topic
	config talos.TopicConfig
	// log is the open log; nil while there is none.
	log    *partition.Log
	opened time.Time
	// opening is closed when the attempt under way is over; nil if there is none.
	opening chan struct{}
	// err is why the last attempt failed, or the last log ended; failures counts
	// how often in a row, and retryAt is when the next attempt may begin.
	err      error
	failures int
	retryAt  time.Time
	// dropped tells that the slot is no longer in the map.
	dropped bool
}

func newPartitions(ctx context.Context, topics *directory, open opener, node *Node) *partitions {
	ctx, stop := context.WithCancel(ctx)
	return &partitions{
		open: open, topics: topics, logger: node.cfg.Logger, metrics: node.metrics, outcome: node.health.observe,
		ctx: ctx, stop: stop, slots: make(map[talos.PartitionID]*slot),
	}
}

// found is what find knows of a partition: exactly one of log and err, and with
// NotServing for a partition that is being opened, opening, which is closed when
// it makes sense to ask again.
type found struct {
	log     *partition.Log
	opening <-chan struct{}
	err     error
}

// find returns the log of a partition, and starts to open it if it is not open.
// It does not block.
func (p *partitions) find(id talos.PartitionID) found {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return found{err: notServing(id, "the node gives its partitions up")}
	}
	s, ok := p.slots[id]
	if !ok {
		topic, err := p.topics.topicOf(id)
		if err != nil {
			return found{err: err}
		}
		s = &slot{id: id, topic: topic}
		p.slots[id] = s
	}
	if s.log != nil {
		select {
		case <-s.log.Done():
			p.endedLocked(s)
		default:
			return found{log: s.log}
		}
	}
	if s.opening == nil {
		if time.Now().Before(s.retryAt) {
			return found{err: s.err}
		}
		p.startLocked(s)
	}
	detail := ""
	if s.err != nil {
		detail = "the last attempt failed: " + s.err.Error()
	}
	return found{opening: s.opening, err: notServing(id, detail)}
}

// openAll starts to open all partitions of a topic.
func (p *partitions) openAll(topic talos.Topic) {
	for number := range topic.Partitions {
		p.find(talos.PartitionID{Topic: topic.ID, Number: number})
	}
}

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

// refused counts the partitions that rest since only an operator can mend them,
// by kind.
func (p *partitions) refused() map[string]float64 {
	counts := map[string]float64{
		string(talos.RestoredRecord): 0, string(talos.BrokenChain): 0, string(talos.CorruptSegment): 0,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if s.log != nil || s.err == nil {
			continue
		}
		kind := string(talos.KindOf(s.err))
		if _, ok := counts[kind]; ok {
			counts[kind]++
		}
	}
	return counts
}

func (p *partitions) setLiveLocked(n int) {
	p.live = n
	p.metrics.openPartitions.Set(float64(n))
}

func (p *partitions) startLocked(s *slot) {
	s.opening = make(chan struct{})
	p.queue = append(p.queue, s)
	if p.working < maxOpening {
		p.working++
		p.workers.Go(p.work)
	}
}

// work opens what is in the queue, and ends when it is empty.
func (p *partitions) work() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.queue = nil
			p.working--
			p.mu.Unlock()
			return
		}
		s := p.queue[0]
		p.queue = p.queue[1:]
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
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for err == nil && s.config != s.topic.Config {
		// The topic was altered meanwhile.
		p.mu.Unlock()
		err = p.followNew(p.ctx, s, log)
		p.mu.Lock()
	}
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

// configure makes the partitions of topics follow what those are now. It tries
// all and returns the first error; what failed is tried again with the next call.
// A log that has ended is none: it is opened as the topic is then. The caller has
// the term's turn.
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
		if s.log != nil && s.config != topic.Config {
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

// closeTopic closes the partitions of a topic that is no longer in the
// directory, so that none is opened again.
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

// closeSlot closes the log of a dropped slot. An attempt to open it that is
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
	p.mu.Unlock()
	if log == nil {
		return nil
	}
	if err := log.Close(ctx); err != nil {
		return fmt.Errorf("close %s: %w", s.id, err)
	}
	return nil
}

func notServing(id talos.PartitionID, detail string) error {
	return &talos.Error{Kind: talos.NotServing, Op: "server.partitions", Subject: id.String(), Detail: detail}
}
