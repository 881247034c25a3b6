package groups

import (
	"maps"
	"time"

	groupsv1 "github.com/talos-log/talos/proto/talos/groups/v1"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

func millis(d time.Duration) int32 { return int32(d.Milliseconds()) }

func duration(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// stored is the member as an event has it.
func (m *member) stored(g *group) *groupsv1.Member {
	return &groupsv1.Member{
		MemberId: m.id, InstanceId: m.instance, ClientId: m.client, Topics: m.topics,
		SessionTimeoutMs: millis(m.session), RebalanceTimeoutMs: millis(m.rebalance),
		Epoch: m.epoch, Heartbeats: m.heartbeats, Commits: m.commits,
		Target: g.storedPartitions(m.target), Assigned: g.storedPartitions(m.assigned),
		Revoking: g.storedPartitions(m.revoking), Away: m.away, Fenced: m.fenced,
	}
}

func fromMember(g *group, stored *groupsv1.Member) *member {
	return &member{
		id: stored.GetMemberId(), instance: stored.GetInstanceId(), client: stored.GetClientId(), topics: stored.GetTopics(),
		session: duration(stored.GetSessionTimeoutMs()), rebalance: duration(stored.GetRebalanceTimeoutMs()),
		epoch: stored.GetEpoch(), heartbeats: stored.GetHeartbeats(), commits: stored.GetCommits(),
		target: g.fromPartitions(stored.GetTarget()), assigned: g.fromPartitions(stored.GetAssigned()),
		revoking: g.fromPartitions(stored.GetRevoking()), away: stored.GetAway(), fenced: stored.GetFenced(),
	}
}

// clone is a copy whose fields may be changed, to be recorded then.
func (m *member) clone() *member {
	next := *m
	next.target, next.assigned, next.revoking = maps.Clone(m.target), maps.Clone(m.assigned), maps.Clone(m.revoking)
	return &next
}

// recordMember makes next what the member is.
func (s *State) recordMember(g *group, next *member) *member {
	s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_Member{Member: next.stored(g)}})
	m := g.members[next.id]
	m.heard, m.silent, m.tardy = next.heard, next.silent, next.tardy
	return m
}

func (s *State) recordGone(g *group, id string) {
	s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_MemberGone{MemberGone: &groupsv1.MemberGone{MemberId: id}}})
	g.retarget = true
	if len(g.members) == 0 {
		s.recordSet(g, g.epoch, s.now)
	}
}

func (g *group) storedPartitions(set map[talos.PartitionID]int32) []*groupsv1.Partitions {
	var all []*groupsv1.Partitions
	for _, p := range sortedPartitions(set) {
		if n := len(all); n == 0 || talos.TopicID(all[n-1].GetTopicId()) != p.Topic {
			all = append(all, &groupsv1.Partitions{TopicId: p.Topic[:], Topic: g.names[p.Topic]})
		}
		last := all[len(all)-1]
		last.Partitions = append(last.Partitions, p.Number)
		last.Since = append(last.Since, set[p])
	}
	return all
}

func (g *group) fromPartitions(stored []*groupsv1.Partitions) map[talos.PartitionID]int32 {
	set := make(map[talos.PartitionID]int32)
	for _, some := range stored {
		id := talos.TopicID(some.GetTopicId())
		g.names[id] = some.GetTopic()
		for i, number := range some.GetPartitions() {
			since := int32(0)
			if i < len(some.GetSince()) {
				since = some.GetSince()[i]
			}
			set[talos.PartitionID{Topic: id, Number: number}] = since
		}
	}
	return set
}

// answered makes of partitions what clients see.
func (g *group) answered(set map[talos.PartitionID]int32) []*talosv1.GroupPartitions {
	var all []*talosv1.GroupPartitions
	for _, some := range g.storedPartitions(set) {
		all = append(all, &talosv1.GroupPartitions{TopicId: some.GetTopicId(), Topic: some.GetTopic(), Partitions: some.GetPartitions()})
	}
	return all
}
