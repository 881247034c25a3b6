package server

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/talos-log/talos/coordinator"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// surveyor looks over a view once.
type surveyor struct {
	view   *coordinator.View
	now    time.Time
	nodes  map[string]*talosv1.NodeStatus
	answer *talosv1.DescribeClusterResponse
}

// survey sums up what the view says of the cluster.
func survey(view *coordinator.View, now time.Time) *talosv1.DescribeClusterResponse {
	s := surveyor{
		view: view, now: now, nodes: make(map[string]*talosv1.NodeStatus),
		answer: &talosv1.DescribeClusterResponse{Scheduler: view.Scheduler(), NowMs: now.UnixMilli()},
	}
	for _, m := range view.Members() {
		s.member(m)
	}
	for id, mark := range view.Marks() {
		n := s.node(id)
		n.Mark, n.MarkSinceMs, n.MarkUntilMs, n.Ending = toMark(mark.Kind), mark.SinceMillis, mark.UntilMillis, mark.Ending
	}
	for _, topic := range view.Topics() {
		s.topic(topic)
	}
	a := s.answer
	slices.SortFunc(a.GetMoves(), func(x, y *talosv1.PartitionMove) int {
		return cmp.Or(cmp.Compare(x.GetSinceMs(), y.GetSinceMs()), cmp.Compare(x.GetTopic(), y.GetTopic()), cmp.Compare(x.GetPartition(), y.GetPartition()))
	})
	a.Moves = a.GetMoves()[:min(len(a.GetMoves()), maxToldMoves)]
	for _, n := range s.nodes {
		a.Nodes = append(a.Nodes, n)
	}
	slices.SortFunc(a.GetNodes(), func(x, y *talosv1.NodeStatus) int { return strings.Compare(x.GetId(), y.GetId()) })
	return a
}

func toMark(kind coordinator.LeavingKind) talosv1.NodeMark {
	switch kind {
	case coordinator.LeavingDrain:
		return talosv1.NodeMark_NODE_MARK_DRAIN
	case coordinator.LeavingRestart:
		return talosv1.NodeMark_NODE_MARK_RESTART
	default:
		return talosv1.NodeMark_NODE_MARK_UNSPECIFIED
	}
}

// node returns what is said of a node, from the first mention on.
func (s *surveyor) node(id string) *talosv1.NodeStatus {
	n, ok := s.nodes[id]
	if !ok {
		n = &talosv1.NodeStatus{Id: id}
		s.nodes[id] = n
	}
	return n
}

func (s *surveyor) member(m coordinator.Member) {
	n := s.node(m.ID)
	n.Registered, n.Address, n.Version, n.StartedMs = true, m.Address, m.Version, m.StartedMillis
	if m.Unfit != nil {
		n.Unfit, n.UnfitSinceMs = m.Unfit.Reason, m.Unfit.SinceMillis
	}
	if load, told := s.view.Load(m.ID); told {
		n.BytesPerS, n.AppendsPerS = load.BytesPerSecond, load.AppendsPerSecond
	}
}

// topic counts the partitions of one topic.
func (s *surveyor) topic(topic talos.Topic) {
	a := s.answer
	a.Topics++
	a.Partitions += topic.Partitions
	assignment, pins := s.view.Assignment(topic.ID), s.view.Pins(topic.ID)
	for number := range topic.Partitions {
		owner := assignment.Owner(number)
		if owner == "" {
			a.Orphans++
		} else {
			s.owned(s.node(owner))
		}
		if pin, pinned := pins[number]; pinned {
			a.Pinned++
			if owner != pin {
				a.Misplaced++
			}
		}
	}
	for number, next := range assignment.Next {
		if number >= topic.Partitions {
			continue
		}
		from := assignment.Owner(number)
		a.Moving++
		s.node(from).Outgoing++
		s.node(next.To).Incoming++
		a.Moves = append(a.Moves, &talosv1.PartitionMove{
			Topic: string(topic.Name), Partition: number, From: from, To: next.To, SinceMs: next.Since.UnixMilli(),
		})
	}
}

func (s *surveyor) owned(n *talosv1.NodeStatus) {
	n.Owned++
	switch {
	case n.GetRegistered():
	case n.GetMark() == talosv1.NodeMark_NODE_MARK_RESTART && s.now.UnixMilli() < n.GetMarkUntilMs():
		s.answer.Held++
	default:
		s.answer.Orphans++
	}
}
