package server

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/coordinator"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// maxMetadataPartitions bounds the partitions that one answer describes.
const maxMetadataPartitions = 100_000

// adminService implements talosv1.AdminServer.
type adminService struct {
	talosv1.UnimplementedAdminServer
	node *Node
}

// CreateTopic implements talosv1.AdminServer.
func (s *adminService) CreateTopic(ctx context.Context, request *talosv1.CreateTopicRequest) (*talosv1.CreateTopicResponse, error) {
	topic := talos.Topic{
		Name: talos.TopicName(request.GetName()), ID: talos.NewTopicID(), Partitions: request.GetPartitions(),
		Config: fromTopicConfig(request.GetConfig()),
	}
	if err := validateTopic(topic); err != nil {
		return nil, err
	}
	if err := refuseInternal("server.CreateTopic", topic.Name); err != nil {
		return nil, err
	}
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	if err := t.createTopic(ctx, topic); err != nil {
		return nil, err
	}
	return &talosv1.CreateTopicResponse{Topic: toTopic(topic)}, nil
}

func validateTopic(topic talos.Topic) error {
	if err := topic.Name.Validate(); err != nil {
		return err
	}
	if topic.Partitions < 1 || topic.Partitions > talos.MaxPartitions {
		return &talos.Error{
			Kind: talos.InvalidConfig, Op: "server.CreateTopic", Subject: string(topic.Name),
			Detail: fmt.Sprintf("partitions is %d, want 1 to %d", topic.Partitions, talos.MaxPartitions),
		}
	}
	return topic.Config.Validate()
}

// DeleteTopic implements talosv1.AdminServer.
func (s *adminService) DeleteTopic(ctx context.Context, request *talosv1.DeleteTopicRequest) (*talosv1.DeleteTopicResponse, error) {
	name := talos.TopicName(request.GetName())
	if err := name.Validate(); err != nil {
		return nil, err
	}
	if err := refuseInternal("server.DeleteTopic", name); err != nil {
		return nil, err
	}
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	if err := t.deleteTopic(ctx, name); err != nil {
		return nil, err
	}
	return &talosv1.DeleteTopicResponse{}, nil
}

// AlterTopic implements talosv1.AdminServer.
func (s *adminService) AlterTopic(ctx context.Context, request *talosv1.AlterTopicRequest) (*talosv1.AlterTopicResponse, error) {
	name := talos.TopicName(request.GetName())
	if err := name.Validate(); err != nil {
		return nil, err
	}
	if err := refuseInternal("server.AlterTopic", name); err != nil {
		return nil, err
	}
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	topic, err := t.alterTopic(ctx, name, fromChange(request))
	if err != nil {
		return nil, err
	}
	return &talosv1.AlterTopicResponse{Topic: toTopic(topic)}, nil
}

// refuseInternal keeps clients from Talos's own topics.
func refuseInternal(op string, name talos.TopicName) error {
	if !name.Internal() {
		return nil
	}
	return &talos.Error{
		Kind: talos.InvalidTopicName, Op: op, Subject: string(name),
		Detail: "names that begin with " + talos.InternalPrefix + " are Talos's own",
	}
}

// ListTopics implements talosv1.AdminServer.
func (s *adminService) ListTopics(_ context.Context, request *talosv1.ListTopicsRequest) (*talosv1.ListTopicsResponse, error) {
	response := &talosv1.ListTopicsResponse{}
	for _, topic := range s.node.cfg.Meta.View().Topics() {
		if topic.Name.Internal() && !request.GetInternal() {
			continue
		}
		response.Topics = append(response.Topics, toTopic(topic))
	}
	return response, nil
}

// Metadata implements talosv1.AdminServer.
func (s *adminService) Metadata(ctx context.Context, request *talosv1.MetadataRequest) (*talosv1.MetadataResponse, error) {
	response := &talosv1.MetadataResponse{}
	for _, m := range s.node.cfg.Meta.View().Members() {
		response.Nodes = append(response.Nodes, &talosv1.Node{Id: m.ID, Address: m.Address})
	}
	described := 0
	for _, name := range request.GetTopics() {
		topic, err := s.topic(ctx, talos.TopicName(name))
		if err != nil {
			return nil, err
		}
		described += int(topic.Partitions)
		if described > maxMetadataPartitions {
			return nil, invalidRequest("server.Metadata",
				"the topics have more than %d partitions, ask for fewer at a time", maxMetadataPartitions)
		}
		response.Topics = append(response.Topics, describe(s.node.cfg.Meta.View(), topic))
	}
	return response, nil
}

// describe names as owners those that are there.
func describe(view *coordinator.View, topic talos.Topic) *talosv1.TopicMetadata {
	metadata := &talosv1.TopicMetadata{Topic: toTopic(topic)}
	for number := range topic.Partitions {
		described := &talosv1.PartitionMetadata{Partition: number}
		if owner := view.Owner(talos.PartitionID{Topic: topic.ID, Number: number}); owner.Member != nil {
			described.Owner = owner.Owner
		}
		metadata.Partitions = append(metadata.Partitions, described)
	}
	return metadata
}

// topic returns a topic by name.
func (s *adminService) topic(ctx context.Context, name talos.TopicName) (talos.Topic, error) {
	if err := name.Validate(); err != nil {
		return talos.Topic{}, err
	}
	return s.node.cfg.Meta.FindTopic(ctx, name)
}

// Version implements talosv1.AdminServer.
func (s *adminService) Version(context.Context, *talosv1.VersionRequest) (*talosv1.VersionResponse, error) {
	cfg := s.node.cfg
	return &talosv1.VersionResponse{
		Version: cfg.Version, ClusterId: cfg.Meta.Cluster().ID, NodeId: cfg.NodeID,
		MaxRecordBytes: int32(cfg.Limits.RecordBytes), MaxBatchBytes: int32(cfg.Limits.BatchBytes()),
		Protocol: cfg.Protocols.Newest, OldestProtocol: cfg.Protocols.Oldest,
	}, nil
}

func toTopic(topic talos.Topic) *talosv1.Topic {
	return &talosv1.Topic{
		Name: string(topic.Name), Id: topic.ID[:], Partitions: topic.Partitions,
		Config: toTopicConfig(topic.Config),
	}
}
