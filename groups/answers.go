package groups

import (
	"slices"
	"strings"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// Answer is what a member is told, after Settle; UnknownMember if it is out.
func (s *State) Answer(groupName, id string) (*talosv1.HeartbeatResponse, error) {
	g := s.groups[groupName]
	m, err := g.present(groupName, id)
	if err != nil {
		return nil, err
	}
	return &talosv1.HeartbeatResponse{
		MemberEpoch: m.epoch, IntervalMs: millis(m.session / heartbeats),
		Assigned: g.answered(m.assigned), SessionTimeoutMs: millis(m.session),
	}, nil
}

// MaxWait is how long a member's heartbeat may wait for something new.
func MaxWait(asked int32, session int32) time.Duration {
	return min(duration(asked), duration(session)/3)
}

// List lists the groups, sorted by name.
func (s *State) List() []*talosv1.ListedGroup {
	all := make([]*talosv1.ListedGroup, 0, len(s.groups))
	for _, g := range s.groups {
		all = append(all, &talosv1.ListedGroup{Group: g.name, State: g.state(), Members: int32(len(g.members))})
	}
	slices.SortFunc(all, func(a, b *talosv1.ListedGroup) int { return strings.Compare(a.GetGroup(), b.GetGroup()) })
	return all
}

func (g *group) state() talosv1.GroupState {
	if len(g.members) == 0 {
		return talosv1.GroupState_GROUP_STATE_EMPTY
	}
	for _, m := range g.members {
		if len(m.revoking) > 0 || !m.away && len(m.assigned) != len(m.target) {
			return talosv1.GroupState_GROUP_STATE_REBALANCING
		}
	}
	return talosv1.GroupState_GROUP_STATE_STABLE
}

// Describe tells all of a group; UnknownGroup if there is none.
func (s *State) Describe(name string) (*talosv1.DescribeGroupResponse, error) {
	g, ok := s.groups[name]
	if !ok {
		return nil, refuse(talos.UnknownGroup, name, "", "")
	}
	response := &talosv1.DescribeGroupResponse{Group: name, State: g.state(), Epoch: g.epoch}
	for _, m := range g.sorted() {
		has := make(map[talos.PartitionID]int32)
		for _, set := range []map[talos.PartitionID]int32{m.assigned, m.revoking} {
			for p := range set {
				has[p] = 0
			}
		}
		response.Members = append(response.Members, &talosv1.GroupMember{
			MemberId: m.id, InstanceId: m.instance, ClientId: m.client, Host: m.host, MemberEpoch: m.epoch, Topics: m.topics,
			Assigned: g.answered(has), Target: g.answered(m.target), HeardMs: m.heard.UnixMilli(), Away: m.away,
		})
	}
	response.Offsets = g.committed(sortedPartitions(g.offsets))
	slices.SortStableFunc(response.Offsets, func(a, b *talosv1.CommittedOffset) int {
		return strings.Compare(a.GetTopic(), b.GetTopic())
	})
	return response, nil
}
