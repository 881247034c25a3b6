package groups

import (
	"fmt"
	"time"

	groupsv1 "github.com/talos-log/talos/proto/talos/groups/v1"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// Commit takes one that ValidateCommit has passed.
func (s *State) Commit(now time.Time, r *talosv1.CommitOffsetsRequest) error {
	s.now = now
	g := s.groups[r.GetGroup()]
	if r.GetMemberId() == "" {
		if g != nil && len(g.members) > 0 {
			return refuse(talos.GroupNotEmpty, g.name, "", fmt.Sprintf("it has %d", len(g.members)))
		}
	} else {
		m, err := s.mayUse(g, r.GetGroup(), r.GetMemberId(), r.GetMemberEpoch())
		if err != nil {
			return err
		}
		if err := m.mayCommit(r); err != nil {
			return err
		}
		m.alive(now)
	}
	g, err := s.ensureGroup(g, r.GetGroup())
	if err != nil {
		return err
	}
	stored := &groupsv1.Offsets{MemberId: r.GetMemberId(), Sequence: r.GetSequence(), TimeMs: now.UnixMilli()}
	for _, o := range r.GetOffsets() {
		stored.Offsets = append(stored.Offsets, &groupsv1.Offset{
			TopicId: o.GetTopicId(), Topic: o.GetTopic(), Partition: o.GetPartition(),
			Offset: o.GetOffset(), Epoch: o.GetEpoch(), Metadata: o.GetMetadata(),
		})
	}
	s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_Offsets{Offsets: stored}})
	s.commits++
	return nil
}

// mayUse returns the member that a request is of.
func (s *State) mayUse(g *group, name, id string, epoch int32) (*member, error) {
	m, err := g.present(name, id)
	if err == nil && (epoch <= 0 || epoch > m.epoch) {
		err = refuse(talos.FencedMember, name, id, fmt.Sprintf("its epoch is %d, the newest %d", epoch, m.epoch))
	}
	return m, err
}

// present returns a member that is one; the group may be nil.
func (g *group) present(name, id string) (*member, error) {
	var m *member
	if g != nil {
		m = g.members[id]
	}
	switch {
	case m == nil || m.away:
		return nil, refuse(talos.UnknownMember, name, id, "")
	case m.fenced:
		return nil, refuse(talos.FencedInstance, name, id, "its instance id is "+m.instance)
	default:
		return m, nil
	}
}

func (m *member) mayCommit(r *talosv1.CommitOffsetsRequest) error {
	if r.GetSequence() < m.commits {
		return refuse(talos.FencedMember, r.GetGroup(), m.id, "the commit is older than another one that came")
	}
	for _, o := range r.GetOffsets() {
		p := talos.PartitionID{Topic: talos.TopicID(o.GetTopicId()), Number: o.GetPartition()}
		since, ok := m.holds(p)
		if !ok || r.GetMemberEpoch() < since {
			return refuse(talos.FencedMember, r.GetGroup(), m.id, fmt.Sprintf("it does not have the partition %s/%d", o.GetTopic(), o.GetPartition()))
		}
	}
	return nil
}

// Offsets answers what is committed. UnknownMember and others as for a commit.
func (s *State) Offsets(r *talosv1.FetchOffsetsRequest) (*talosv1.FetchOffsetsResponse, error) {
	g := s.groups[r.GetGroup()]
	if r.GetMemberId() != "" {
		if _, err := s.mayUse(g, r.GetGroup(), r.GetMemberId(), r.GetMemberEpoch()); err != nil {
			return nil, err
		}
	}
	response := &talosv1.FetchOffsetsResponse{}
	if g == nil {
		return response, nil
	}
	if len(r.GetPartitions()) == 0 {
		response.Offsets = g.committed(sortedPartitions(g.offsets))
		return response, nil
	}
	for _, some := range r.GetPartitions() {
		for _, number := range some.GetPartitions() {
			p := talos.PartitionID{Topic: talos.TopicID(some.GetTopicId()), Number: number}
			if _, ok := g.offsets[p]; ok {
				response.Offsets = append(response.Offsets, g.committed([]talos.PartitionID{p})...)
			}
		}
	}
	return response, nil
}

// committed describes offsets that there are.
func (g *group) committed(which []talos.PartitionID) []*talosv1.CommittedOffset {
	all := make([]*talosv1.CommittedOffset, 0, len(which))
	for _, p := range which {
		o := g.offsets[p]
		all = append(all, &talosv1.CommittedOffset{
			TopicId: o.GetTopicId(), Topic: o.GetTopic(), Partition: o.GetPartition(), Offset: o.GetOffset(),
			Epoch: o.GetEpoch(), Metadata: o.GetMetadata(), CommitTimeMs: o.GetTimeMs(),
		})
	}
	return all
}

// Delete forgets a group without members, and its offsets.
func (s *State) Delete(name string) error {
	g, ok := s.groups[name]
	switch {
	case !ok:
		return refuse(talos.UnknownGroup, name, "", "")
	case len(g.members) > 0:
		return refuse(talos.GroupNotEmpty, name, "", fmt.Sprintf("it has %d", len(g.members)))
	}
	s.recordGroupGone(g)
	return nil
}

func (s *State) recordGroupGone(g *group) {
	s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_Gone{Gone: &groupsv1.Gone{}}})
}

// Committed is what is committed of one partition by one group.
type Committed struct {
	Group     string
	Topic     talos.TopicName
	Partition talos.PartitionID
	Offset    talos.Offset
}

// Committed returns all that is committed, in no order.
func (s *State) Committed() []Committed {
	var all []Committed
	for _, g := range s.groups {
		for p, o := range g.offsets {
			all = append(all, Committed{g.name, talos.TopicName(o.GetTopic()), p, talos.Offset(o.GetOffset())})
		}
	}
	return all
}

// ForgetTopic takes away the offsets of a topic that is gone.
func (s *State) ForgetTopic(id talos.TopicID) {
	for _, g := range s.groups {
		gone := &groupsv1.Offsets{}
		for _, p := range sortedPartitions(g.offsets) {
			if p.Topic == id {
				gone.Offsets = append(gone.Offsets, &groupsv1.Offset{TopicId: id[:], Partition: p.Number, Offset: -1})
			}
		}
		if len(gone.Offsets) > 0 {
			s.record(&groupsv1.Event{Group: g.name, What: &groupsv1.Event_Offsets{Offsets: gone}})
		}
	}
}
