package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// TopicPlacement is where the partitions of a topic are.
type TopicPlacement struct {
	Topic talos.Topic
	// At is when that was, by the node's clock.
	At time.Time
	// Partitions has one entry for each, in order.
	Partitions []PartitionPlacement
}

// PartitionPlacement is where one partition is, and where it should be.
type PartitionPlacement struct {
	Partition int32
	// Owner is a node's id, empty if nobody owns it; Address is its RPC address, empty
	// if it is not there.
	Owner, Address string
	// Next is where it goes, since Since; empty if it stays.
	Next  string
	Since time.Time
	// Pin is where an operator wants it; empty if anywhere.
	Pin string
	// HeldUntil is how long it waits for its owner, which is away for a restart; zero
	// if it does not.
	HeldUntil time.Time
	// BytesPerSecond is 0 if the partition is not among its owner's hottest.
	BytesPerSecond float64
}

// Placement tells where the partitions of topics are; UnknownTopic if there is no
// such topic. The answer has the topics in the same order.
func (c *Client) Placement(ctx context.Context, topics ...talos.TopicName) ([]TopicPlacement, error) {
	const op = "sdk.Placement"
	request := &talosv1.DescribePlacementRequest{}
	for _, name := range topics {
		request.Topics = append(request.Topics, string(name))
	}
	what := call{op: op}
	if len(topics) == 1 {
		what.subject = string(topics[0])
	}
	answer, err := ask(ctx, c, what, func(ctx context.Context, p *peer) (*talosv1.DescribePlacementResponse, error) {
		return p.cluster.DescribePlacement(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	if len(answer.GetTopics()) != len(topics) {
		return nil, malformed(op, "")
	}
	found := make([]TopicPlacement, 0, len(topics))
	for i, t := range answer.GetTopics() {
		topic, err := toTopic(op, t.GetTopic())
		if err != nil {
			return nil, err
		}
		if topic.Name != topics[i] || len(t.GetPartitions()) != int(topic.Partitions) {
			return nil, malformed(op, string(topics[i]))
		}
		placement := TopicPlacement{Topic: topic, At: moment(answer.GetNowMs())}
		for number, p := range t.GetPartitions() {
			placement.Partitions = append(placement.Partitions, PartitionPlacement{
				Partition: int32(number), Owner: p.GetOwner(), Address: p.GetAddress(), Next: p.GetNext(), Since: moment(p.GetSinceMs()),
				Pin: p.GetPin(), HeldUntil: moment(p.GetHeldUntilMs()), BytesPerSecond: p.GetBytesPerS(),
			})
		}
		found = append(found, placement)
	}
	return found, nil
}

// MovePlan is what would move until every node has its share.
type MovePlan struct {
	Moves []PlannedMove
	// Pause is how long a partition takes no records while it moves, as a rule.
	Pause time.Duration
	// AtOnce is how many move at the same time, at most.
	AtOnce int
	// More is how many more there are than Moves has.
	More int
}

// PlannedMove is one partition's way.
type PlannedMove struct {
	Topic     talos.TopicName
	Partition int32
	// From is empty if it has no owner.
	From, To string
	// Reason is for people.
	Reason         string
	BytesPerSecond float64
}

// PlanMoves tells which partitions would move if nothing else happened, or if the
// nodes of without were drained. Nothing is changed.
func (c *Client) PlanMoves(ctx context.Context, without ...string) (MovePlan, error) {
	answer, err := ask(ctx, c, call{op: "sdk.PlanMoves"}, func(ctx context.Context, p *peer) (*talosv1.PlanMovesResponse, error) {
		return p.cluster.PlanMoves(ctx, &talosv1.PlanMovesRequest{Without: without})
	})
	if err != nil {
		return MovePlan{}, err
	}
	plan := MovePlan{Pause: time.Duration(answer.GetPauseMs()) * time.Millisecond, AtOnce: int(answer.GetAtOnce()), More: int(answer.GetMore())}
	for _, m := range answer.GetMoves() {
		plan.Moves = append(plan.Moves, PlannedMove{
			Topic: talos.TopicName(m.GetTopic()), Partition: m.GetPartition(), From: m.GetFrom(), To: m.GetTo(),
			Reason: m.GetReason(), BytesPerSecond: m.GetBytesPerS(),
		})
	}
	return plan, nil
}

// Pin is an operator's wish for one partition.
type Pin struct {
	Topic     talos.TopicName
	Partition int32
	// Node is where it should be; empty to take the wish back.
	Node string
}

// PinPartitions says where partitions should be. They move soon, and stay there
// until they are unpinned, or the node can't have them. It does not wait.
// UnknownTopic, UnknownPartition, UnknownNode for a node that is not there, and
// UnschedulableNode for one that drains, is away for a restart, or can't do its work.
func (c *Client) PinPartitions(ctx context.Context, pins ...Pin) error {
	request := &talosv1.PinPartitionsRequest{}
	for _, p := range pins {
		request.Pins = append(request.Pins, &talosv1.Pin{Topic: string(p.Topic), Partition: p.Partition, Node: p.Node})
	}
	what := call{op: "sdk.PinPartitions"}
	if len(pins) == 1 {
		what.subject = subject(pins[0].Topic, pins[0].Partition)
	}
	return c.anyNode(ctx, what, func(ctx context.Context, p *peer) error {
		_, err := p.cluster.PinPartitions(ctx, request)
		return err
	})
}
