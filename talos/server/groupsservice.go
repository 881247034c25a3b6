package server

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/groups"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// groupsService implements talosv1.GroupsServer.
type groupsService struct {
	talosv1.UnimplementedGroupsServer
	node *Node
}

// CommitOffsets implements talosv1.GroupsServer.
func (s *groupsService) CommitOffsets(ctx context.Context, request *talosv1.CommitOffsetsRequest) (*talosv1.CommitOffsetsResponse, error) {
	if err := groups.ValidateCommit(request); err != nil {
		return nil, err
	}
	var refused error
	err := s.at(ctx, request.GetGroup(), request.GetMemberId() == "", func(cs *coordinators, c *groupCoordinator) error {
		return cs.do(ctx, c, func(state *groups.State) { refused = state.Commit(time.Now(), request) }, nil)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, unknownMember(err, request.GetGroup(), request.GetMemberId())
	}
	return &talosv1.CommitOffsetsResponse{}, nil
}

// FetchOffsets implements talosv1.GroupsServer. What it answers was so at a moment
// when nobody else could have been the coordinator.
func (s *groupsService) FetchOffsets(ctx context.Context, request *talosv1.FetchOffsetsRequest) (*talosv1.FetchOffsetsResponse, error) {
	if err := groups.ValidateFetch(request); err != nil {
		return nil, err
	}
	var response *talosv1.FetchOffsetsResponse
	var refused error
	err := s.at(ctx, request.GetGroup(), false, func(cs *coordinators, c *groupCoordinator) error {
		return s.read(ctx, cs, c, func(state *groups.State) { response, refused = state.Offsets(request) })
	})
	switch {
	case request.GetMemberId() == "" && errors.Is(err, talos.UnknownGroup):
		return &talosv1.FetchOffsetsResponse{}, nil
	case err != nil:
		return nil, unknownMember(err, request.GetGroup(), request.GetMemberId())
	case refused != nil:
		return nil, refused
	}
	return response, nil
}

// read runs a command that changes nothing, and proves that what it saw was so.
func (s *groupsService) read(ctx context.Context, cs *coordinators, c *groupCoordinator, look func(*groups.State)) error {
	if err := cs.do(ctx, c, func(*groups.State) {}, look); err != nil {
		return err
	}
	return c.proof.need(ctx, c.log, time.Now())
}

// ListGroups implements talosv1.GroupsServer.
func (s *groupsService) ListGroups(ctx context.Context, request *talosv1.ListGroupsRequest) (*talosv1.ListGroupsResponse, error) {
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	topic, err := t.groups.topic(ctx, false)
	if errors.Is(err, talos.UnknownTopic) {
		return &talosv1.ListGroupsResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if n := request.GetCoordinator(); n < 0 || n >= topic.Partitions {
		return nil, invalidRequest("server.ListGroups", "coordinator %d of %d", n, topic.Partitions)
	}
	c, err := t.groups.at(ctx, talos.PartitionID{Topic: topic.ID, Number: request.GetCoordinator()})
	if err != nil {
		return nil, err
	}
	response := &talosv1.ListGroupsResponse{Coordinators: topic.Partitions}
	err = s.read(ctx, t.groups, c, func(state *groups.State) { response.Groups = state.List() })
	if err != nil {
		return nil, err
	}
	return response, nil
}

// DescribeGroup implements talosv1.GroupsServer.
func (s *groupsService) DescribeGroup(ctx context.Context, request *talosv1.DescribeGroupRequest) (*talosv1.DescribeGroupResponse, error) {
	if err := groups.ValidateName(request.GetGroup()); err != nil {
		return nil, err
	}
	var response *talosv1.DescribeGroupResponse
	var refused error
	err := s.at(ctx, request.GetGroup(), false, func(cs *coordinators, c *groupCoordinator) error {
		err := s.read(ctx, cs, c, func(state *groups.State) { response, refused = state.Describe(request.GetGroup()) })
		if err == nil && refused == nil {
			response.Coordinator, response.Node, response.Address = c.id.Number, s.node.cfg.NodeID, s.node.cfg.Address
		}
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// DeleteGroup implements talosv1.GroupsServer.
func (s *groupsService) DeleteGroup(ctx context.Context, request *talosv1.DeleteGroupRequest) (*talosv1.DeleteGroupResponse, error) {
	if err := groups.ValidateName(request.GetGroup()); err != nil {
		return nil, err
	}
	var refused error
	err := s.at(ctx, request.GetGroup(), false, func(cs *coordinators, c *groupCoordinator) error {
		return cs.do(ctx, c, func(state *groups.State) { refused = state.Delete(request.GetGroup()) }, nil)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return &talosv1.DeleteGroupResponse{}, nil
}

// at calls f with the group's coordinator.
func (s *groupsService) at(ctx context.Context, group string, create bool, f func(*coordinators, *groupCoordinator) error) error {
	t, err := s.node.serving()
	if err != nil {
		return err
	}
	c, err := t.groups.of(ctx, group, create)
	if err != nil {
		return err
	}
	return f(t.groups, c)
}

// unknownMember is what a member hears where there has never been a group.
func unknownMember(err error, group, member string) error {
	if member == "" || !errors.Is(err, talos.UnknownGroup) {
		return err
	}
	return &talos.Error{Kind: talos.UnknownMember, Op: "server.Groups", Subject: group + "/" + member}
}
