package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// ClusterStatus is a cluster as one of its nodes sees it.
type ClusterStatus struct {
	ID string
	// At is when that was, by the node's clock; other times here are that clock's too.
	At time.Time
	// Scheduler is the id of the node that plans; empty if there is none now.
	Scheduler string
	// Nodes are sorted by id: those that are registered, marked, or own something.
	Nodes []NodeStatus
	// Topics and Partitions count them all; Orphans those partitions whose owner is
	// gone, but for those in Held, whose owner is away for a restart.
	Topics, Partitions, Orphans, Held int
	// Moving counts the partitions on their way; Moves are some of them.
	Moving int
	Moves  []PartitionMove
	// Pinned counts the partitions that are pinned, Misplaced those of them that are
	// elsewhere.
	Pinned, Misplaced int
	// Trouble says why the node that answered can't do its work now; empty if it can.
	// If that is etcd, what it tells of others may be old.
	Trouble string
}

// NodeMark is how a node leaves; empty if it does not.
type NodeMark string

// The marks.
const (
	// MarkDrain: the node hands over what it owns, and gets nothing.
	MarkDrain NodeMark = "drain"
	// MarkRestart: the node comes back soon; what it owns is kept for it.
	MarkRestart NodeMark = "restart"
)

// NodeStatus is one node of a cluster.
type NodeStatus struct {
	ID, Address, Version string
	// Registered tells that the node is there; then Started is since when.
	Registered bool
	Started    time.Time
	// Unfit says why the node can't do its work; empty if it can.
	Unfit      string
	UnfitSince time.Time
	// Mark says whether it leaves; MarkUntil is when a restart must be over. Ending
	// tells that the node set it itself.
	Mark                 NodeMark
	MarkSince, MarkUntil time.Time
	Ending               bool
	// Owned counts its partitions; Incoming and Outgoing those that move.
	Owned, Incoming, Outgoing int
	// What it said last of its load.
	BytesPerSecond, AppendsPerSecond float64
}

// PartitionMove is a handover under way.
type PartitionMove struct {
	Topic     talos.TopicName
	Partition int32
	From, To  string
	Since     time.Time
}

// Cluster tells what nodes there are, and whether all is well.
func (c *Client) Cluster(ctx context.Context) (ClusterStatus, error) {
	answer, err := ask(ctx, c, call{op: "sdk.Cluster"}, func(ctx context.Context, p *peer) (*talosv1.DescribeClusterResponse, error) {
		return p.cluster.DescribeCluster(ctx, &talosv1.DescribeClusterRequest{})
	})
	if err != nil {
		return ClusterStatus{}, err
	}
	s := ClusterStatus{
		ID: answer.GetClusterId(), At: moment(answer.GetNowMs()), Scheduler: answer.GetScheduler(), Trouble: answer.GetTrouble(),
		Topics: int(answer.GetTopics()), Partitions: int(answer.GetPartitions()),
		Orphans: int(answer.GetOrphans()), Held: int(answer.GetHeld()), Moving: int(answer.GetMoving()),
		Pinned: int(answer.GetPinned()), Misplaced: int(answer.GetMisplaced()),
	}
	for _, n := range answer.GetNodes() {
		s.Nodes = append(s.Nodes, toNodeStatus(n))
	}
	for _, m := range answer.GetMoves() {
		s.Moves = append(s.Moves, PartitionMove{
			Topic: talos.TopicName(m.GetTopic()), Partition: m.GetPartition(), From: m.GetFrom(), To: m.GetTo(), Since: moment(m.GetSinceMs()),
		})
	}
	return s, nil
}

func toNodeStatus(n *talosv1.NodeStatus) NodeStatus {
	s := NodeStatus{
		ID: n.GetId(), Address: n.GetAddress(), Version: n.GetVersion(),
		Registered: n.GetRegistered(), Started: moment(n.GetStartedMs()),
		Unfit: n.GetUnfit(), UnfitSince: moment(n.GetUnfitSinceMs()),
		MarkSince: moment(n.GetMarkSinceMs()), MarkUntil: moment(n.GetMarkUntilMs()), Ending: n.GetEnding(),
		Owned: int(n.GetOwned()), Incoming: int(n.GetIncoming()), Outgoing: int(n.GetOutgoing()),
		BytesPerSecond: n.GetBytesPerS(), AppendsPerSecond: n.GetAppendsPerS(),
	}
	switch n.GetMark() {
	case talosv1.NodeMark_NODE_MARK_DRAIN:
		s.Mark = MarkDrain
	case talosv1.NodeMark_NODE_MARK_RESTART:
		s.Mark = MarkRestart
	case talosv1.NodeMark_NODE_MARK_UNSPECIFIED:
	}
	return s
}

// moment is a time in milliseconds since 1970; 0 is none.
func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}

// Drain makes a node hand over what it owns, a few partitions at a time, and get
// nothing until Uncordon. It does not wait. UnknownNode if there is none.
func (c *Client) Drain(ctx context.Context, node string) error {
	return c.mark(ctx, "sdk.Drain", &talosv1.MarkNodeRequest{Node: node, Mark: talosv1.NodeMark_NODE_MARK_DRAIN})
}

// Restart announces that a node goes away and comes back: what it owns is kept for
// it for the time of hold, from now on.
func (c *Client) Restart(ctx context.Context, node string, hold time.Duration) error {
	return c.mark(ctx, "sdk.Restart", &talosv1.MarkNodeRequest{
		Node: node, Mark: talosv1.NodeMark_NODE_MARK_RESTART, HoldMs: hold.Milliseconds(),
	})
}

// Uncordon takes back Drain and Restart. It is no error if there is nothing to take
// back, also of a node that the cluster does not know.
func (c *Client) Uncordon(ctx context.Context, node string) error {
	return c.mark(ctx, "sdk.Uncordon", &talosv1.MarkNodeRequest{Node: node})
}

func (c *Client) mark(ctx context.Context, op string, request *talosv1.MarkNodeRequest) error {
	return c.anyNode(ctx, call{op: op}, func(ctx context.Context, p *peer) error {
		_, err := p.cluster.MarkNode(ctx, request)
		return err
	})
}
