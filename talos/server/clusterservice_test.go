package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// operator calls the service of operators on a node.
type operator struct {
	t *testing.T
	talosv1.ClusterClient
}

func (n *testNode) operator(t *testing.T) operator {
	return operator{t, talosv1.NewClusterClient(n.conn)}
}

func (o operator) survey() *talosv1.DescribeClusterResponse {
	o.t.Helper()
	answer, err := o.DescribeCluster(o.t.Context(), &talosv1.DescribeClusterRequest{})
	require.NoError(o.t, err)
	return answer
}

func (o operator) node(id string) *talosv1.NodeStatus {
	o.t.Helper()
	for _, n := range o.survey().GetNodes() {
		if n.GetId() == id {
			return n
		}
	}
	return &talosv1.NodeStatus{}
}

func (o operator) placement(topic string) []*talosv1.PartitionPlacement {
	o.t.Helper()
	answer, err := o.DescribePlacement(o.t.Context(), &talosv1.DescribePlacementRequest{Topics: []string{topic}})
	require.NoError(o.t, err)
	require.Len(o.t, answer.GetTopics(), 1)
	return answer.GetTopics()[0].GetPartitions()
}

func (o operator) mark(id string, mark talosv1.NodeMark, hold time.Duration) error {
	_, err := o.MarkNode(o.t.Context(), &talosv1.MarkNodeRequest{Node: id, Mark: mark, HoldMs: hold.Milliseconds()})
	return err
}

func (o operator) pin(topic string, partition int32, node string) error {
	_, err := o.PinPartitions(o.t.Context(), &talosv1.PinPartitionsRequest{
		Pins: []*talosv1.Pin{{Topic: topic, Partition: partition, Node: node}},
	})
	return err
}

func (o operator) plan(without ...string) []*talosv1.PlannedMove {
	o.t.Helper()
	answer, err := o.PlanMoves(o.t.Context(), &talosv1.PlanMovesRequest{Without: without})
	require.NoError(o.t, err)
	return answer.GetMoves()
}

// balanced waits until two nodes have so many partitions, and nothing moves.
func (o operator) balanced(a, b int32) {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		s := o.survey()
		return s.GetMoving() == 0 && o.node("a").GetOwned() == a && o.node("b").GetOwned() == b
	}, patience, time.Millisecond)
}

func TestAnOperatorDrainsANode(t *testing.T) {
	c := newCluster()
	a := c.start(t, "a")
	c.start(t, "b")
	o := a.operator(t)
	a.createTopic(t, "logs", 8)
	o.balanced(4, 4)
	require.Empty(t, o.plan())

	plan := o.plan("b")
	require.Len(t, plan, 4)
	for _, m := range plan {
		require.Equal(t, "logs", m.GetTopic())
		require.Equal(t, "b", m.GetFrom())
		require.Equal(t, "a", m.GetTo())
		require.NotEmpty(t, m.GetReason())
	}
	require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
	o.balanced(8, 0)
	require.Equal(t, talosv1.NodeMark_NODE_MARK_DRAIN, o.node("b").GetMark())
	since := o.node("b").GetMarkSinceMs()
	require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
	require.Equal(t, since, o.node("b").GetMarkSinceMs())

	require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_UNSPECIFIED, 0))
	o.balanced(4, 4)
	require.Equal(t, talosv1.NodeMark_NODE_MARK_UNSPECIFIED, o.node("b").GetMark())
}

// A node that has not heard yet that another one took a mark back sets it anew.
func TestADrainHoldsThoughTheNodeHasNotHeardOfAnUncordon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		a, b := c.start(t, "a"), c.start(t, "b")
		require.NoError(t, a.operator(t).mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
		synctest.Wait()
		hears := make(chan struct{})
		c.deaf.Store("a", hears)
		require.NoError(t, b.operator(t).mark("b", talosv1.NodeMark_NODE_MARK_UNSPECIFIED, 0))
		require.NoError(t, a.operator(t).mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
		c.deaf.Delete("a")
		close(hears)
		synctest.Wait()
		for _, n := range []*testNode{a, b} {
			require.Equal(t, talosv1.NodeMark_NODE_MARK_DRAIN, n.operator(t).node("b").GetMark())
		}
	})
}

// What was done already is no error, also of a node that is away and of which the
// cluster then knows nothing anymore.
func TestAnUncordonMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		a, b := c.start(t, "a"), c.start(t, "b")
		o := a.operator(t)
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
		require.NoError(t, b.stop())
		synctest.Wait()
		for range 2 {
			require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_UNSPECIFIED, 0))
			require.Equal(t, talosv1.NodeMark_NODE_MARK_UNSPECIFIED, o.node("b").GetMark())
		}
	})
}

func TestAnOperatorPinsAPartition(t *testing.T) {
	c := newCluster()
	a := c.start(t, "a")
	c.start(t, "b")
	o := a.operator(t)
	a.createTopic(t, "logs", 2)
	o.balanced(1, 1)
	var moves int32
	for _, p := range o.placement("logs") {
		if p.GetOwner() == "b" {
			moves = p.GetPartition()
		}
	}
	require.NoError(t, o.pin("logs", 0, "a"))
	require.NoError(t, o.pin("logs", 1, "a"))
	o.balanced(2, 0)
	require.Equal(t, "a", o.placement("logs")[moves].GetPin())
	require.Equal(t, "a.example:7070", o.placement("logs")[moves].GetAddress())
	require.EqualValues(t, 2, o.survey().GetPinned())
	require.Zero(t, o.survey().GetMisplaced())

	require.NoError(t, o.pin("logs", moves, ""))
	o.balanced(1, 1)
	require.Empty(t, o.placement("logs")[moves].GetPin())
}

// A pin to a node that gets nothing would be passed over, for as long as that lasts.
func TestAPinToANodeThatTakesNothingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		a, b := c.start(t, "a"), c.start(t, "b")
		o := a.operator(t)
		a.createTopic(t, "logs", 2)
		refused := func(says string) {
			t.Helper()
			synctest.Wait()
			e := detail(t, o.pin("logs", 0, "b"))
			require.Equal(t, string(talos.UnschedulableNode), e.GetKind())
			require.Contains(t, e.GetMessage(), says)
			require.Zero(t, o.survey().GetPinned())
		}
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
		refused("b drains")
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_UNSPECIFIED, 0))
		require.NoError(t, b.meta.SetUnfit(t.Context(), "no store"))
		refused("b can't do its work: no store")
		require.NoError(t, b.meta.SetUnfit(t.Context(), ""))
		synctest.Wait()
		require.NoError(t, o.pin("logs", 0, "b"))
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
		require.NoError(t, o.pin("logs", 0, ""), "a pin can always be taken back")
		e := detail(t, o.mark("b", talosv1.NodeMark_NODE_MARK_RESTART, time.Hour))
		require.Equal(t, string(talos.UnschedulableNode), e.GetKind(), "it drains: there is nothing to keep")
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_UNSPECIFIED, 0))
		require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_RESTART, time.Hour))
		require.NoError(t, o.pin("logs", 0, "b"), "it is still there")
		require.NoError(t, o.pin("logs", 0, ""))
		require.NoError(t, b.stop())
		refused("b is away for a restart")
	})
}

func TestAnAnnouncedRestartMovesNothing(t *testing.T) {
	c := newCluster()
	a, b := c.start(t, "a"), c.start(t, "b")
	o := a.operator(t)
	a.createTopic(t, "logs", 4)
	o.balanced(2, 2)
	require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_RESTART, time.Hour))
	require.NoError(t, b.stop())
	require.Eventually(t, func() bool { return o.survey().GetHeld() == 2 }, patience, time.Millisecond)
	require.Zero(t, o.survey().GetOrphans())
	held := o.node("b")
	require.False(t, held.GetRegistered())
	require.EqualValues(t, 2, held.GetOwned())
	for _, p := range o.placement("logs") {
		require.Equal(t, p.GetOwner() == "b", p.GetHeldUntilMs() > 0)
	}

	// Whoever waits no longer says so, and may look first at where that leads.
	require.Len(t, o.plan("b"), 2)
	require.NoError(t, o.mark("b", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
	o.balanced(4, 0)
}

func TestOperatorsAreToldWhatDoesNotExist(t *testing.T) {
	n := newCluster().start(t, "a")
	o := n.operator(t)
	n.createTopic(t, "logs", 2)
	requireKind := func(want talos.Kind, err error) {
		t.Helper()
		require.Equal(t, string(want), detail(t, err).GetKind())
	}
	requireKind(talos.UnknownNode, o.mark("z", talosv1.NodeMark_NODE_MARK_DRAIN, 0))
	requireKind(talos.UnknownNode, o.pin("logs", 0, "z"))
	requireKind(talos.UnknownTopic, o.pin("logz", 0, "a"))
	requireKind(talos.UnknownPartition, o.pin("logs", 2, "a"))
	requireKind(talos.UnknownPartition, o.pin("logs", -1, "a"))
	requireKind(talos.InvalidRequest, o.mark("a", talosv1.NodeMark_NODE_MARK_RESTART, 0))
	requireKind(talos.InvalidRequest, o.mark("a", talosv1.NodeMark_NODE_MARK_RESTART, 48*time.Hour))
	requireKind(talos.InvalidRequest, o.mark("a", 17, 0))
	_, err := o.PlanMoves(t.Context(), &talosv1.PlanMovesRequest{Without: []string{"z"}})
	requireKind(talos.UnknownNode, err)
	_, err = o.DescribePlacement(t.Context(), &talosv1.DescribePlacementRequest{Topics: []string{"logz"}})
	requireKind(talos.UnknownTopic, err)
	_, err = o.PinPartitions(t.Context(), &talosv1.PinPartitionsRequest{Pins: make([]*talosv1.Pin, maxPins+1)})
	requireKind(talos.InvalidRequest, err)
}
