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

// CreateTopic makes a topic. TopicExists if there is one of this name;
// InvalidTopicName and InvalidConfig before anything was done.
func (c *Client) CreateTopic(ctx context.Context, name talos.TopicName, partitions int32, cfg talos.TopicConfig) (talos.Topic, error) {
	const op = "sdk.CreateTopic"
	if err := cfg.Validate(); err != nil {
		return talos.Topic{}, err
	}
	request := &talosv1.CreateTopicRequest{
		Name: string(name), Partitions: partitions,
		Config: toTopicConfig(cfg),
	}
	answer, err := ask(ctx, c, call{op: op, subject: string(name), changes: true},
		func(ctx context.Context, p *peer) (*talosv1.CreateTopicResponse, error) {
			return p.admin.CreateTopic(ctx, request)
		})
	if err != nil {
		return talos.Topic{}, err
	}
	return toTopic(op, answer.GetTopic())
}

// AlterTopic changes what change names and returns what the topic is then. More
// partitions take effect at once; records with keys may go to another partition
// than before. Called again, it changes nothing. UnknownTopic if there is none,
// InvalidConfig if it can't be so.
func (c *Client) AlterTopic(ctx context.Context, name talos.TopicName, change talos.TopicChange) (talos.Topic, error) {
	const op = "sdk.AlterTopic"
	request := &talosv1.AlterTopicRequest{
		Name: string(name), Partitions: change.Partitions, SegmentBytes: change.SegmentBytes, SegmentMs: change.SegmentMillis,
		RetentionMs: change.RetentionMillis, RetentionBytes: change.RetentionBytes,
	}
	if d := change.Durability; d != nil {
		if err := d.Validate(); err != nil {
			return talos.Topic{}, &talos.Error{Kind: talos.InvalidConfig, Op: op, Subject: string(name), Cause: err}
		}
		request.Durability = toTopicConfig(talos.TopicConfig{Durability: *d}).GetDurability().Enum()
	}
	answer, err := ask(ctx, c, call{op: op, subject: string(name)},
		func(ctx context.Context, p *peer) (*talosv1.AlterTopicResponse, error) {
			return p.admin.AlterTopic(ctx, request)
		})
	if err != nil {
		return talos.Topic{}, err
	}
	return toTopic(op, answer.GetTopic())
}

// DeleteRecords moves a partition's log start up to an offset, at the end at the
// most: what lies below can't be read from then on, and can't be had back. It
// returns what can be read then. A start that is there already, or beyond, stays.
// OffsetOutOfRange above the end; UnknownTopic, UnknownPartition.
func (c *Client) DeleteRecords(ctx context.Context, name talos.TopicName, partition int32, before talos.Offset) (talos.OffsetRange, error) {
	const op = "sdk.DeleteRecords"
	d, err := c.Describe(ctx, name)
	if err != nil {
		return talos.OffsetRange{}, err
	}
	request := &talosv1.DeleteRecordsRequest{TopicId: d.Topic.ID[:], Partition: partition, Offset: int64(before)}
	request.Epoch = int32(c.epochs.of(d.Topic.ID, partition))
	answer, err := ask(ctx, c, call{op: op, subject: subject(name, partition)},
		func(ctx context.Context, p *peer) (*talosv1.DeleteRecordsResponse, error) {
			return p.log.DeleteRecords(ctx, request)
		})
	if err != nil {
		return talos.OffsetRange{}, err
	}
	return toRange(answer.GetRange()), nil
}

// DeleteTopic frees the name at once; the data goes in the background and can't
// be had back. UnknownTopic if there is none.
func (c *Client) DeleteTopic(ctx context.Context, name talos.TopicName) error {
	_, err := ask(ctx, c, call{op: "sdk.DeleteTopic", subject: string(name), changes: true},
		func(ctx context.Context, p *peer) (*talosv1.DeleteTopicResponse, error) {
			return p.admin.DeleteTopic(ctx, &talosv1.DeleteTopicRequest{Name: string(name)})
		})
	return err
}

// Topics lists all topics, sorted by name.
func (c *Client) Topics(ctx context.Context) ([]talos.Topic, error) {
	const op = "sdk.Topics"
	answer, err := ask(ctx, c, call{op: op}, func(ctx context.Context, p *peer) (*talosv1.ListTopicsResponse, error) {
		return p.admin.ListTopics(ctx, &talosv1.ListTopicsRequest{})
	})
	if err != nil {
		return nil, err
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
	answer, err := ask(ctx, c, call{op: op, subject: string(name)},
		func(ctx context.Context, p *peer) (*talosv1.MetadataResponse, error) {
			return p.admin.Metadata(ctx, &talosv1.MetadataRequest{Topics: []string{string(name)}})
		})
	if err != nil {
		return TopicDescription{}, err
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
