package groups

import (
	"fmt"
	"slices"
	"time"

	groupsv1 "github.com/talos-log/talos/proto/talos/groups/v1"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// What a heartbeat's member_epoch says besides an epoch.
const (
	joins       = 0
	leaves      = -1
	leavesAWait = -2
)

// Heartbeat takes one that ValidateHeartbeat has passed. What the member is told is
// known after Settle: Answer has it.
// Host is where it came from.
func (s *State) Heartbeat(now time.Time, r *talosv1.HeartbeatRequest, host string) error {
	err := s.heartbeat(now, r)
	if g := s.groups[r.GetGroup()]; err == nil && g != nil {
		if m := g.members[r.GetMemberId()]; m != nil {
			m.host = host
		}
	}
	return err
}

func (s *State) heartbeat(now time.Time, r *talosv1.HeartbeatRequest) error {
	s.now = now
	g := s.groups[r.GetGroup()]
	var m *member
	if g != nil {
		m = g.members[r.GetMemberId()]
	}
	switch {
	case r.GetMemberEpoch() == leaves, r.GetMemberEpoch() == leavesAWait:
		return s.leave(g, m, r)
	case r.GetMemberEpoch() == joins && (m == nil || m.away && r.GetSequence() > m.heartbeats):
		return s.join(g, r)
	case m == nil || m.away:
		return refuse(talos.UnknownMember, r.GetGroup(), r.GetMemberId(), "")
	case m.fenced:
		return refuse(talos.FencedInstance, r.GetGroup(), m.id, "its instance id is "+m.instance)
	case r.GetSequence() < m.heartbeats:
		return refuse(talos.FencedMember, r.GetGroup(), m.id, "the heartbeat is older than another one that came")
	case r.GetMemberEpoch() > m.epoch:
		return refuse(talos.FencedMember, r.GetGroup(), m.id, fmt.Sprintf("its epoch is %d, the newest %d", r.GetMemberEpoch(), m.epoch))
	default:
		s.stay(g, m, r)
		return nil
	}
}

func (s *State) join(g *group, r *talosv1.HeartbeatRequest) error {
	g, err := s.ensureGroup(g, r.GetGroup())
	if err != nil {
		return err
	}
	if len(g.members) >= s.cfg.Members {
		return refuse(talos.GroupFull, g.name, r.GetMemberId(), fmt.Sprintf("it has %d members (limits.group_members)", len(g.members)))
	}
	m := &member{id: r.GetMemberId(), instance: r.GetInstanceId(), heartbeats: r.GetSequence()}
	m.describe(r)
	m.alive(s.now)
	if before := g.instances[m.instance]; m.instance != "" && before != nil {
		m.target = before.target
		if before.away {
			m.assigned = before.assigned
			s.recordGone(g, before.id)
		} else {
			s.fence(g, before)
		}
	}
	s.recordMember(g, m)
	g.retarget = true
	return nil
}

// fence passes a member over that may still read: what it has is free when its
// session is over, since it has stopped by itself then.
func (s *State) fence(g *group, m *member) {
	next := m.clone()
	for p, since := range next.assigned {
		next.revoking[p] = since
	}
	next.fenced, next.assigned, next.target = true, nil, nil
	s.recordMember(g, next)
}

// stay takes the heartbeat of a member.
func (s *State) stay(g *group, m *member, r *talosv1.HeartbeatRequest) {
	m.alive(s.now)
	next := m.clone()
	changed := next.describe(r)
	if changed {
		g.retarget = true
	}
	anew := r.GetMemberEpoch() == joins && r.GetSequence() > m.heartbeats
	if r.GetMemberEpoch() == m.epoch || anew {
		owned := owned(r)
		for p := range next.revoking {
			if !owned[p] {
				delete(next.revoking, p)
				changed, g.advance = true, true
			}
		}
		for p := range next.assigned {
			if anew && !owned[p] {
				// It has begun again: it gets an answer of its own.
				delete(next.assigned, p)
				changed, g.advance = true, true
			}
		}
	}
	m.heartbeats, next.heartbeats = r.GetSequence(), r.GetSequence()
	if changed {
		s.recordMember(g, next)
	}
}

func (s *State) leave(g *group, m *member, r *talosv1.HeartbeatRequest) error {
	switch {
	case m == nil || m.away:
		return nil // it is out
	case r.GetSequence() < m.heartbeats:
		return refuse(talos.FencedMember, g.name, m.id, "the heartbeat is older than another one that came")
	case r.GetMemberEpoch() == leavesAWait && m.instance != "" && !m.fenced:
		next := m.clone()
		next.away, next.revoking, next.heartbeats = true, nil, r.GetSequence()
		next.alive(s.now)
		s.recordMember(g, next)
		g.advance = true
	default:
		s.recordGone(g, m.id)
	}
	return nil
}

// describe takes what a member says of itself, and tells whether that is new.
func (m *member) describe(r *talosv1.HeartbeatRequest) (changed bool) {
	session, rebalance := duration(r.GetSessionTimeoutMs()), duration(r.GetRebalanceTimeoutMs())
	if session == 0 {
		session = DefaultSession
	}
	if rebalance == 0 {
		rebalance = DefaultRebalance
	}
	topics := slices.Compact(slices.Sorted(slices.Values(r.GetTopics())))
	changed = session != m.session || rebalance != m.rebalance || r.GetClientId() != m.client || !slices.Equal(topics, m.topics)
	m.session, m.rebalance, m.client, m.topics = session, rebalance, r.GetClientId(), topics
	return changed
}

func owned(r *talosv1.HeartbeatRequest) map[talos.PartitionID]bool {
	all := make(map[talos.PartitionID]bool)
	for _, some := range r.GetOwned() {
		for _, number := range some.GetPartitions() {
			all[talos.PartitionID{Topic: talos.TopicID(some.GetTopicId()), Number: number}] = true
		}
	}
	return all
}

// ensureGroup makes the group unless there is one.
func (s *State) ensureGroup(g *group, name string) (*group, error) {
	if g != nil {
		return g, nil
	}
	if len(s.groups) >= s.cfg.Groups {
		return nil, &talos.Error{
			Kind: talos.LimitReached, Op: "groups.State", Subject: name,
			Detail: fmt.Sprintf("its coordinator has %d groups (limits.groups)", len(s.groups)),
		}
	}
	g = newGroup(name)
	g.used = s.now
	s.record(g.event())
	return s.groups[name], nil
}

func refuse(kind talos.Kind, group, member, detail string) error {
	subject := group
	if member != "" {
		subject += "/" + member
	}
	return &talos.Error{Kind: kind, Op: "groups.State", Subject: subject, Detail: detail}
}

// recordSet stores what the group is now.
func (s *State) recordSet(g *group, epoch int32, used time.Time) {
	s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_Set{Set: &groupsv1.Group{
		Epoch: epoch, MemberEpoch: g.memberEpoch, UsedMs: used.UnixMilli(),
	}}})
}
