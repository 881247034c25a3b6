package server

import (
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// maxParked bounds the batches of one partition that wait for it to be opened or
	// handed over, and parkTime how long they do. Who comes again waits again, unless
	// batches have come for parkLimit.
	maxParked = 64
	parkTime  = 500 * time.Millisecond
	parkLimit = 5 * time.Second
)

// parked are batches that came while their partition was on its way: to here, then
// they are stored as soon as it is open, or from here, then they are told where it
// is. That is what makes a planned move short for a producer. They keep their
// order, also with those that come later.
type parked struct {
	waiting []func(found)
	timer   *time.Timer
	// until is when nothing waits any more for what is under way; zero before the first.
	until time.Time
}

// late tells whether it is too late to wait.
func (p *parked) late() bool { return !p.until.IsZero() && !time.Now().Before(p.until) }

// withLog calls f with what is found of a partition: at once, or, while it is on its
// way, a little later. f must not block, nor use the partitions.
func (p *partitions) withLog(id talos.PartitionID, f func(found)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.withLogLocked(id, f)
}

func (p *partitions) withLogLocked(id talos.PartitionID, f func(found)) {
	s, now := p.findLocked(id)
	if s == nil && now.opening != nil && p.parkUnheard(id, f) {
		return
	}
	if s == nil || now.opening == nil || s.parked.late() || len(s.parked.waiting) >= maxParked {
		f(now)
		return
	}
	s.parked.waiting = append(s.parked.waiting, f)
	if s.parked.until.IsZero() {
		s.parked.until = time.Now().Add(parkLimit)
	}
	if s.parked.timer == nil {
		s.parked.timer = time.AfterFunc(parkTime, func() { p.giveUp(s) })
	}
}

// giveUp answers what has waited for too long.
func (p *partitions) giveUp(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.parked.timer == nil {
		return // it was faster
	}
	waiting := s.parked.waiting
	s.parked = parked{until: s.parked.until}
	for _, f := range waiting {
		f(found{err: notServing(s.id, "it takes its time to be opened, or handed over")})
	}
}

// unparkLocked hands over what waits, after what was under way is over.
func (p *partitions) unparkLocked(s *slot) {
	if s.parked.timer != nil {
		s.parked.timer.Stop()
	}
	waiting := s.parked.waiting
	s.parked = parked{}
	if len(waiting) == 0 {
		return
	}
	var now found
	switch {
	case s.log != nil && s.left == nil:
		now = found{log: s.log, counted: &s.counted}
	case s.dropped:
		if _, now = p.mine(s.id); now.err == nil {
			now.err = notServing(s.id, "it comes and goes")
		}
	case s.left != nil:
		// It was opened, and must go at once.
		s.parked.waiting = waiting
		s.parked.timer = time.AfterFunc(parkTime, func() { p.giveUp(s) })
		return
	default:
		now.err = s.err
	}
	if now.log == nil && now.err == nil {
		now.err = &talos.Error{Kind: talos.NotServing, Op: "server.parked", Subject: s.id.String()}
	}
	for _, f := range waiting {
		f(now)
	}
}
