package sdk

import (
	"cmp"
	"context"
	"slices"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// GroupState is what a consumer group is at.
type GroupState string

// The states of a group.
const (
	// GroupEmpty: it has no members; its offsets are kept for a while.
	GroupEmpty GroupState = "empty"
	// GroupRebalancing: partitions are being given up or taken.
	GroupRebalancing GroupState = "rebalancing"
	// GroupStable: each partition is read by the member that is to have it.
	GroupStable GroupState = "stable"
)

// GroupSummary is a group in a list.
type GroupSummary struct {
	Name    string
	State   GroupState
	Members int
}

// GroupDescription is all there is to know of a group.
type GroupDescription struct {
	GroupSummary
	// Epoch grows with each change of who should read what.
	Epoch int32
	// Coordinator is the number of the group's coordinator; Node and Address are who
	// that is now.
	Coordinator   int32
	Node, Address string
	// MemberList is sorted by id.
	MemberList []GroupMember
	// Offsets are sorted by topic and partition.
	Offsets []GroupOffset
}

// GroupMember is one member of a group.
type GroupMember struct {
	ID, Instance, ClientID, Host string
	Topics                       []string
	// Assigned is what it reads, or has not given up yet; Target what it is to have.
	Assigned, Target []GroupPartition
	// Heard is when, by the coordinator's clock. Away: its partitions wait for it.
	Heard time.Time
	Away  bool
}

// GroupOffset is a committed offset: the next record to read.
type GroupOffset struct {
	GroupPartition
	TopicID  talos.TopicID
	Offset   talos.Offset
	Metadata string
	// Committed is when, by the coordinator's clock.
	Committed time.Time
}

// Groups lists all consumer groups, sorted by name.
func (c *Client) Groups(ctx context.Context) ([]GroupSummary, error) {
	const op = "sdk.Groups"
	var all []GroupSummary
	for n, coordinators := int32(0), int32(1); n < coordinators; n++ {
		var answer *talosv1.ListGroupsResponse
		err := patiently(ctx, op, "", func() (err error) {
			answer, err = ask(ctx, c, call{op: op}, func(ctx context.Context, p *peer) (*talosv1.ListGroupsResponse, error) {
				return p.groups.ListGroups(ctx, &talosv1.ListGroupsRequest{Coordinator: n})
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		coordinators = answer.GetCoordinators()
		for _, g := range answer.GetGroups() {
			all = append(all, GroupSummary{Name: g.GetGroup(), State: toGroupState(g.GetState()), Members: int(g.GetMembers())})
		}
	}
	slices.SortFunc(all, func(a, b GroupSummary) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// DescribeGroup tells what there is to know of a group; UnknownGroup if there is
// none.
func (c *Client) DescribeGroup(ctx context.Context, name string) (GroupDescription, error) {
	var answer *talosv1.DescribeGroupResponse
	err := c.atCoordinator(ctx, "sdk.DescribeGroup", name, func(ctx context.Context, p *peer) (err error) {
		answer, err = p.groups.DescribeGroup(ctx, &talosv1.DescribeGroupRequest{Group: name})
		return err
	})
	if err != nil {
		return GroupDescription{}, err
	}
	d := GroupDescription{
		GroupSummary: GroupSummary{Name: answer.GetGroup(), State: toGroupState(answer.GetState()), Members: len(answer.GetMembers())},
		Epoch:        answer.GetEpoch(), Coordinator: answer.GetCoordinator(), Node: answer.GetNode(), Address: answer.GetAddress(),
	}
	for _, m := range answer.GetMembers() {
		d.MemberList = append(d.MemberList, GroupMember{
			ID: m.GetMemberId(), Instance: m.GetInstanceId(), ClientID: m.GetClientId(), Host: m.GetHost(), Topics: m.GetTopics(),
			Assigned: fromWire(m.GetAssigned()).sorted(), Target: fromWire(m.GetTarget()).sorted(),
			Heard: moment(m.GetHeardMs()), Away: m.GetAway(),
		})
	}
	d.Offsets = toGroupOffsets(answer.GetOffsets())
	return d, nil
}

// GroupOffsets tells what is committed of a group; nothing if there is no such group.
func (c *Client) GroupOffsets(ctx context.Context, group string) ([]GroupOffset, error) {
	var answer *talosv1.FetchOffsetsResponse
	err := c.atCoordinator(ctx, "sdk.GroupOffsets", group, func(ctx context.Context, p *peer) (err error) {
		answer, err = p.groups.FetchOffsets(ctx, &talosv1.FetchOffsetsRequest{Group: group})
		return err
	})
	return toGroupOffsets(answer.GetOffsets()), err
}

// CommitGroupOffsets sets offsets of a group without members, all of them or none;
// an Offset of -1 takes one away. The group need not exist. GroupNotEmpty while it
// has members. Of each, TopicID, Partition and Offset count, and Metadata.
func (c *Client) CommitGroupOffsets(ctx context.Context, group string, offsets ...GroupOffset) error {
	request := &talosv1.CommitOffsetsRequest{Group: group}
	for _, o := range offsets {
		request.Offsets = append(request.Offsets, &talosv1.CommittedOffset{
			TopicId: o.TopicID[:], Topic: string(o.Topic), Partition: o.Partition, Offset: int64(o.Offset), Metadata: o.Metadata,
		})
	}
	return c.atCoordinator(ctx, "sdk.CommitGroupOffsets", group, func(ctx context.Context, p *peer) error {
		_, err := p.groups.CommitOffsets(ctx, request)
		return err
	})
}

// DeleteGroup forgets a group and its offsets. GroupNotEmpty while it has members,
// UnknownGroup if there is none.
func (c *Client) DeleteGroup(ctx context.Context, group string) error {
	return c.atCoordinator(ctx, "sdk.DeleteGroup", group, func(ctx context.Context, p *peer) error {
		_, err := p.groups.DeleteGroup(ctx, &talosv1.DeleteGroupRequest{Group: group})
		return err
	})
}

// atCoordinator asks a group's coordinator, and waits while it moves.
func (c *Client) atCoordinator(ctx context.Context, op, group string, f func(ctx context.Context, p *peer) error) error {
	return patiently(ctx, op, group, func() error { return c.anyNode(ctx, call{op: op, subject: group}, f) })
}

func toGroupState(s talosv1.GroupState) GroupState {
	switch s {
	case talosv1.GroupState_GROUP_STATE_EMPTY:
		return GroupEmpty
	case talosv1.GroupState_GROUP_STATE_STABLE:
		return GroupStable
	default:
		return GroupRebalancing
	}
}

func toGroupOffsets(all []*talosv1.CommittedOffset) []GroupOffset {
	var offsets []GroupOffset
	for _, o := range all {
		if len(o.GetTopicId()) != len(talos.TopicID{}) {
			continue // of no use
		}
		offsets = append(offsets, GroupOffset{
			GroupPartition: GroupPartition{talos.TopicName(o.GetTopic()), o.GetPartition()}, TopicID: talos.TopicID(o.GetTopicId()),
			Offset: talos.Offset(o.GetOffset()), Metadata: o.GetMetadata(), Committed: moment(o.GetCommitTimeMs()),
		})
	}
	return offsets
}
