package sdk

import (
	"context"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// TopicDescription is a topic and who serves it.
type TopicDescription struct {
	Topic talos.Topic
	// Partitions has one entry for each, in order.
	Partitions []PartitionOwner
}

// PartitionOwner says who serves a partition: a node's id and its RPC address,
// host:port. Both are empty if nobody does.
type PartitionOwner struct {
	Partition      int32
	Owner, Address string
}

// ServerVersion is what a node says of itself. Limits are in bytes.
type ServerVersion struct {
	Version, ClusterID, NodeID    string
	MaxRecordBytes, MaxBatchBytes int
}

// CreateTopic makes a topic. TopicExists if there is one of this name;
// InvalidTopicName and InvalidConfig before anything was done.
func (c *Client) CreateTopic(ctx context.Context, name talos.TopicName, partitions int32, cfg talos.TopicConfig) (talos.Topic, error) {
	const op = "sdk.CreateTopic"
	if err := cfg.Validate(); err != nil {
		return talos.Topic{}, err
	}
	answer, err := c.admin.CreateTopic(ctx, &talosv1.CreateTopicRequest{
		Name: string(name), Partitions: partitions,
		Config: toTopicConfig(cfg),
	})
	if err != nil {
		return talos.Topic{}, c.callError(ctx, op, string(name), err)
	}
	return toTopic(op, answer.GetTopic())
}

// DeleteTopic frees the name at once; the data goes in the background and can't
// be had back. UnknownTopic if there is none.
func (c *Client) DeleteTopic(ctx context.Context, name talos.TopicName) error {
	_, err := c.admin.DeleteTopic(ctx, &talosv1.DeleteTopicRequest{Name: string(name)})
	return c.callError(ctx, "sdk.DeleteTopic", string(name), err)
}

// Topics lists all topics, sorted by name.
func (c *Client) Topics(ctx context.Context) ([]talos.Topic, error) {
	const op = "sdk.Topics"
	answer, err := c.admin.ListTopics(ctx, &talosv1.ListTopicsRequest{})
	if err != nil {
		return nil, c.callError(ctx, op, "", err)
	}
	topics := make([]talos.Topic, 0, len(answer.GetTopics()))
	for _, t := range answer.GetTopics() {
		topic, err := toTopic(op, t)
		if err != nil {
			return nil, err
		}
		topics = append(topics, topic)
	}
	return topics, nil
}

// Describe tells what a topic is and who serves it; UnknownTopic if there is none.
func (c *Client) Describe(ctx context.Context, name talos.TopicName) (TopicDescription, error) {
	const op = "sdk.Describe"
	answer, err := c.admin.Metadata(ctx, &talosv1.MetadataRequest{Topics: []string{string(name)}})
	if err != nil {
		return TopicDescription{}, c.callError(ctx, op, string(name), err)
	}
	if len(answer.GetTopics()) != 1 {
		return TopicDescription{}, malformed(op, string(name))
	}
	found := answer.GetTopics()[0]
	topic, err := toTopic(op, found.GetTopic())
	if err != nil {
		return TopicDescription{}, err
	}
	addresses := make(map[string]string)
	for _, n := range answer.GetNodes() {
		addresses[n.GetId()] = n.GetAddress()
	}
	d := TopicDescription{Topic: topic}
	for _, p := range found.GetPartitions() {
		d.Partitions = append(d.Partitions, PartitionOwner{
			Partition: p.GetPartition(), Owner: p.GetOwner(), Address: addresses[p.GetOwner()],
		})
	}
	return d, nil
}

// ServerVersion asks the node what it is and what it admits.
func (c *Client) ServerVersion(ctx context.Context) (ServerVersion, error) {
	const op = "sdk.ServerVersion"
	v, err := c.admin.Version(ctx, &talosv1.VersionRequest{})
	if err != nil {
		return ServerVersion{}, c.callError(ctx, op, "", err)
	}
	if v.GetMaxRecordBytes() <= 0 || v.GetMaxBatchBytes() <= 0 {
		return ServerVersion{}, malformed(op, "")
	}
	return ServerVersion{
		Version: v.GetVersion(), ClusterID: v.GetClusterId(), NodeID: v.GetNodeId(),
		MaxRecordBytes: int(v.GetMaxRecordBytes()), MaxBatchBytes: int(v.GetMaxBatchBytes()),
	}, nil
}

func toTopic(op string, t *talosv1.Topic) (talos.Topic, error) {
	topic := talos.Topic{
		Name: talos.TopicName(t.GetName()), Partitions: t.GetPartitions(),
		Config: fromTopicConfig(t.GetConfig()),
	}
	if copy(topic.ID[:], t.GetId()) != len(topic.ID) || len(t.GetId()) != len(topic.ID) ||
		topic.Partitions <= 0 || topic.Partitions > talos.MaxPartitions {
		return talos.Topic{}, malformed(op, t.GetName())
	}
	return topic, nil
}

// malformed is for an answer that no node gives.
func malformed(op, subject string) error {
	return &talos.Error{Kind: talos.Internal, Op: op, Subject: subject, Detail: "the node's answer is malformed"}
}
