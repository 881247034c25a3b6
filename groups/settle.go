package groups

import (
	"maps"
	"time"

	"github.com/talos-log/talos/talos"
)

// Settle follows up all commands since the last call: it takes out who is silent,
// computes once for each group who should read what, and gives what is free. It
// returns when it must be called again at the latest; zero for no reason to.
func (s *State) Settle(now time.Time) time.Time {
	s.now = now
	var next time.Time
	for _, g := range s.groups {
		if g.retarget || g.advance || g.due.IsZero() || !now.Before(g.due) {
			s.settle(g)
		}
		if _, exists := s.groups[g.name]; exists {
			next = earlier(next, g.due)
		}
	}
	return next
}

func (s *State) settle(g *group) {
	s.expire(g)
	if g.retarget {
		s.retarget(g)
	}
	s.advance(g)
	g.retarget, g.advance, g.due = false, false, time.Time{}
	for _, m := range g.members {
		g.due = earlier(earlier(g.due, m.silent), m.tardy)
	}
	if len(g.members) > 0 {
		return
	}
	g.due = g.used.Add(s.cfg.Retention)
	if !s.now.Before(g.due) {
		s.recordGroupGone(g)
	}
}

// earlier returns the earlier one of two times, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// expire takes out the members whose time is over. One that was loaded has a whole
// session from now on.
func (s *State) expire(g *group) {
	for _, m := range g.sorted() {
		switch {
		case m.silent.IsZero():
			m.heard, m.silent = s.now, s.now.Add(m.session+ConfirmFresh)
		case !s.now.Before(m.silent), !m.tardy.IsZero() && !s.now.Before(m.tardy):
			s.recordGone(g, m.id)
		}
	}
}

// retarget computes who should read what.
func (s *State) retarget(g *group) {
	targets := s.assign(g)
	changed := false
	for _, m := range g.sorted() {
		if target := targets[m.id]; !maps.Equal(target, m.target) {
			next := m.clone()
			next.target = target
			s.recordMember(g, next)
			changed = true
		}
	}
	if changed {
		s.rebalances++
		s.recordSet(g, g.epoch+1, s.now)
	}
}

// advance gives members what they should read and is free, and takes what they
// should not.
func (s *State) advance(g *group) {
	// Who is away reads nothing: what it loses is free at once, also for those before
	// it.
	for _, m := range g.sorted() {
		if m.away {
			s.advanceMember(g, m)
		}
	}
	for _, m := range g.sorted() {
		if !m.away && !m.fenced {
			s.advanceMember(g, m)
		}
	}
}

func (s *State) advanceMember(g *group, m *member) {
	next, changed := m.clone(), m.epoch == 0
	if next.assigned == nil {
		next.assigned = make(map[talos.PartitionID]int32)
	}
	for p, since := range m.assigned {
		if _, wanted := m.target[p]; wanted {
			continue
		}
		delete(next.assigned, p)
		if !m.away {
			next.revoking[p] = since
		}
		changed = true
	}
	epoch := g.memberEpoch + 1
	for p := range m.target {
		if _, has := m.assigned[p]; has {
			continue
		}
		since, revoking := m.revoking[p]
		switch holder := g.holders[p]; {
		case revoking:
			// It is to have it after all, and has not given it up.
			delete(next.revoking, p)
			next.assigned[p] = since
		case holder == nil && !m.away:
			next.assigned[p] = epoch
		default:
			continue
		}
		changed = true
	}
	if changed {
		next.epoch = epoch
		m = s.recordMember(g, next)
	}
	switch {
	case len(m.revoking) == 0:
		m.tardy = time.Time{}
	case m.tardy.IsZero():
		m.tardy = s.now.Add(m.rebalance)
	}
}
