package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/schedule"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

const (
	// maxToldMoves bounds the moves under way in one answer, maxPlannedMoves those of
	// a plan, and maxPins the pins of one request.
	maxToldMoves    = 1000
	maxPlannedMoves = 20_000
	maxPins         = 10_000
	// usualPause is what a move takes of a partition's time where the store is near.
	usualPause = 50 * time.Millisecond
	// maxHold bounds how long partitions wait for a node that restarts.
	maxHold = 24 * time.Hour
)

// clusterService implements talosv1.ClusterServer. It tells what the node's view
// has, and asks nobody; of the node itself it tells if it is in trouble.
type clusterService struct {
	talosv1.UnimplementedClusterServer
	node *Node
	// planning has a place for who makes a plan: one of all who ask, since it takes a
	// core for a while.
	planning chan struct{}
}

// DescribeCluster implements talosv1.ClusterServer.
func (s *clusterService) DescribeCluster(context.Context, *talosv1.DescribeClusterRequest) (*talosv1.DescribeClusterResponse, error) {
	meta := s.node.cfg.Meta
	answer := survey(meta.View(), time.Now())
	answer.ClusterId = meta.Cluster().ID
	if err := s.node.health.check(); err != nil {
		answer.Trouble = clip(err.Error())
	}
	return answer, nil
}

// DescribePlacement implements talosv1.ClusterServer.
func (s *clusterService) DescribePlacement(
	ctx context.Context, request *talosv1.DescribePlacementRequest,
) (*talosv1.DescribePlacementResponse, error) {
	view, now := s.node.cfg.Meta.View(), time.Now()
	answer := &talosv1.DescribePlacementResponse{NowMs: now.UnixMilli()}
	loads, described := loadsOf(view), 0
	for _, name := range request.GetTopics() {
		topic, err := s.topic(ctx, name)
		if err != nil {
			return nil, err
		}
		described += int(topic.Partitions)
		if described > maxMetadataPartitions {
			return nil, invalidRequest("server.DescribePlacement",
				"the topics have more than %d partitions, ask for fewer at a time", maxMetadataPartitions)
		}
		answer.Topics = append(answer.Topics, placementOf(view, topic, loads, now))
	}
	return answer, nil
}

func (s *clusterService) topic(ctx context.Context, name string) (talos.Topic, error) {
	if err := talos.TopicName(name).Validate(); err != nil {
		return talos.Topic{}, err
	}
	return s.node.cfg.Meta.FindTopic(ctx, talos.TopicName(name))
}

func loadsOf(view *coordinator.View) map[talos.PartitionID]float64 {
	loads := make(map[talos.PartitionID]float64)
	for _, m := range view.Members() {
		load, _ := view.Load(m.ID)
		for _, p := range load.Partitions {
			loads[talos.PartitionID{Topic: p.Topic, Number: p.Partition}] = p.BytesPerSecond
		}
	}
	return loads
}

func placementOf(
	view *coordinator.View, topic talos.Topic, loads map[talos.PartitionID]float64, now time.Time,
) *talosv1.TopicPlacement {
	placement := &talosv1.TopicPlacement{Topic: toTopic(topic)}
	pins, moves := view.Pins(topic.ID), view.Assignment(topic.ID).Next
	for number := range topic.Partitions {
		id := talos.PartitionID{Topic: topic.ID, Number: number}
		owner := view.Owner(id)
		p := &talosv1.PartitionPlacement{Partition: number, Owner: owner.Owner, Pin: pins[number], BytesPerS: loads[id]}
		if owner.Member != nil {
			p.Address = owner.Member.Address
		}
		if next, moves := moves[number]; moves {
			p.Next, p.SinceMs = next.To, next.Since.UnixMilli()
		}
		if owner.Restart != nil && now.Before(owner.Restart.Until()) {
			p.HeldUntilMs = owner.Restart.UntilMillis
		}
		placement.Partitions = append(placement.Partitions, p)
	}
	return placement
}

// PlanMoves implements talosv1.ClusterServer.
func (s *clusterService) PlanMoves(ctx context.Context, request *talosv1.PlanMovesRequest) (*talosv1.PlanMovesResponse, error) {
	view := s.node.cfg.Meta.View()
	state := view.State(time.Now())
	for _, id := range request.GetWithout() {
		if !known(view, id) {
			return nil, unknownNode("server.PlanMoves", id)
		}
		delete(state.Away, id) // nothing waits for it anymore
		if i := slices.IndexFunc(state.Members, func(m schedule.Member) bool { return m.ID == id }); i >= 0 {
			state.Members[i].Draining = true
		}
	}
	names := make(map[talos.TopicID]talos.TopicName, len(state.Topics))
	for _, t := range state.Topics {
		names[t.ID] = t.Name
	}
	answer := &talosv1.PlanMovesResponse{PauseMs: usualPause.Milliseconds(), AtOnce: schedule.DefaultMoves}
	steps, err := s.end(ctx, state)
	if err != nil {
		return nil, err
	}
	for _, step := range steps[:min(len(steps), maxPlannedMoves)] {
		answer.Moves = append(answer.Moves, &talosv1.PlannedMove{
			Topic: string(names[step.Partition.Topic]), Partition: step.Partition.Number, From: step.From, To: step.To,
			Reason: step.Reason, BytesPerS: state.Loads[step.Partition],
		})
	}
	answer.More = int32(len(steps) - len(answer.GetMoves())) //nolint:gosec // partitions are bounded
	return answer, nil
}

// end plans, unless the caller is gone before its turn comes.
func (s *clusterService) end(ctx context.Context, state schedule.State) ([]schedule.Step, error) {
	select {
	case s.planning <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.planning }()
	return schedule.End(state), nil
}

// known tells whether the cluster has anything to do with a node: it is registered,
// marked, or owns something.
func known(view *coordinator.View, id string) bool {
	_, there := view.Member(id)
	_, marked := view.Leaving(id)
	owned, _ := view.Owned(id)
	return there || marked || owned > 0
}

// PinPartitions implements talosv1.ClusterServer.
func (s *clusterService) PinPartitions(ctx context.Context, request *talosv1.PinPartitionsRequest) (*talosv1.PinPartitionsResponse, error) {
	const op = "server.PinPartitions"
	meta := s.node.cfg.Meta
	if len(request.GetPins()) > maxPins {
		return nil, invalidRequest(op, "%d pins at a time are too many, the limit is %d", len(request.GetPins()), maxPins)
	}
	byTopic := make(map[talos.TopicID][]*talosv1.Pin)
	known := make(map[string]talos.Topic)
	for _, pin := range request.GetPins() {
		topic, ok := known[pin.GetTopic()]
		if !ok {
			var err error
			if topic, err = s.topic(ctx, pin.GetTopic()); err != nil {
				return nil, err
			}
			known[pin.GetTopic()] = topic
		}
		if pin.GetPartition() < 0 || pin.GetPartition() >= topic.Partitions {
			return nil, &talos.Error{
				Kind: talos.UnknownPartition, Op: op, Detail: fmt.Sprintf("%s/%d", topic.Name, pin.GetPartition()),
			}
		}
		if pin.GetNode() != "" {
			if err := mayTake(meta.View(), op, pin.GetNode()); err != nil {
				return nil, err
			}
		}
		byTopic[topic.ID] = append(byTopic[topic.ID], pin)
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	for topic, pins := range byTopic {
		err := meta.Pin(ctx, topic, func(have coordinator.Pins) {
			for _, pin := range pins {
				if pin.GetNode() == "" {
					delete(have, pin.GetPartition())
				} else {
					have[pin.GetPartition()] = pin.GetNode()
				}
			}
		})
		if err != nil {
			return nil, err
		}
		s.node.cfg.Logger.Info("an operator changed pins", "topic", topic.String(), "pins", len(pins))
	}
	return &talosv1.PinPartitionsResponse{}, nil
}

// MarkNode implements talosv1.ClusterServer.
func (s *clusterService) MarkNode(ctx context.Context, request *talosv1.MarkNodeRequest) (*talosv1.MarkNodeResponse, error) {
	const op = "server.MarkNode"
	meta, id := s.node.cfg.Meta, request.GetNode()
	// One that is away is unknown as soon as its mark is gone, and may be asked for again.
	if request.GetMark() != talosv1.NodeMark_NODE_MARK_UNSPECIFIED && !known(meta.View(), id) {
		return nil, unknownNode(op, id)
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	var err error
	switch request.GetMark() {
	case talosv1.NodeMark_NODE_MARK_UNSPECIFIED:
		err = meta.Uncordon(ctx, id)
	case talosv1.NodeMark_NODE_MARK_DRAIN:
		err = meta.Drain(ctx, id)
	case talosv1.NodeMark_NODE_MARK_RESTART:
		hold := time.Duration(request.GetHoldMs()) * time.Millisecond
		if request.GetHoldMs() <= 0 || request.GetHoldMs() > maxHold.Milliseconds() {
			return nil, invalidRequest(op, "a hold of %d ms: want 1 ms to %v", request.GetHoldMs(), maxHold)
		}
		err = meta.Restart(ctx, id, time.Now().Add(hold))
	default:
		return nil, invalidRequest(op, "this node does not know the mark %v", request.GetMark())
	}
	if err != nil {
		return nil, err
	}
	s.node.cfg.Logger.Info("an operator marked a node", "marked", id, "mark", request.GetMark().String())
	return &talosv1.MarkNodeResponse{}, nil
}

func unknownNode(op, id string) error {
	return &talos.Error{Kind: talos.UnknownNode, Op: op, Detail: id}
}
