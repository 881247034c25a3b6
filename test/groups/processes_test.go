package groups_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/test/etcd"
	"github.com/talos-log/talos/test/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var program process.Builder

func TestMain(m *testing.M) {
	code := m.Run()
	if err := program.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const (
	group      = "readers"
	partitions = 6
	// patience is for what must come.
	patience = 2 * time.Minute
)

// cluster is the nodes, and calls to each.
type cluster struct {
	t     *testing.T
	nodes map[string]*process.Node
	calls map[string]talosv1.GroupsClient
	admin talosv1.AdminClient
}

func start(t *testing.T) *cluster {
	t.Helper()
	binary, err := program.Binary()
	require.NoError(t, err)
	store, keeper := t.TempDir(), etcd.ForTest(t, 1)
	c := &cluster{t: t, nodes: make(map[string]*process.Node), calls: make(map[string]talosv1.GroupsClient)}
	for _, id := range []string{"n1", "n2", "n3"} {
		n := process.New(t, process.Config{Binary: binary, Server: true, Args: []string{
			"--node-id", id, "--etcd", strings.Join(keeper.Endpoints(), ","), "--store", "file://" + store,
			"--session-ttl", "3s", "--drain-timeout", "10s",
		}})
		n.Start()
		conn, err := grpc.NewClient(n.Listens(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		c.nodes[id], c.calls[id] = n, talosv1.NewGroupsClient(conn)
		c.admin = talosv1.NewAdminClient(conn)
	}
	return c
}

// anywhere tries a call at each node until one answers.
func anywhere[T any](c *cluster, call func(context.Context, talosv1.GroupsClient) (T, error)) (answer T) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		for _, client := range c.calls {
			ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
			got, err := call(ctx, client)
			cancel()
			if err == nil {
				answer = got
				return true
			}
		}
		return false
	}, patience, 50*time.Millisecond)
	return answer
}

// member plays one member.
type member struct {
	c        *cluster
	id       string
	sequence int64
	epoch    int32
	assigned []*talosv1.GroupPartitions
}

func (m *member) beat() {
	m.c.t.Helper()
	m.sequence++
	r := &talosv1.HeartbeatRequest{
		Group: group, MemberId: m.id, MemberEpoch: m.epoch, Sequence: m.sequence, Topics: []string{"orders"},
		SessionTimeoutMs: 600_000, Owned: m.assigned,
	}
	answer := anywhere(m.c, func(ctx context.Context, at talosv1.GroupsClient) (*talosv1.HeartbeatResponse, error) {
		return at.Heartbeat(ctx, r)
	})
	m.epoch, m.assigned = answer.GetMemberEpoch(), answer.GetAssigned()
}

// commit commits an offset of all that the member has.
func (m *member) commit(offset int64) {
	m.c.t.Helper()
	m.sequence++
	r := &talosv1.CommitOffsetsRequest{Group: group, MemberId: m.id, MemberEpoch: m.epoch, Sequence: m.sequence}
	for _, some := range m.assigned {
		for _, p := range some.GetPartitions() {
			r.Offsets = append(r.Offsets, &talosv1.CommittedOffset{TopicId: some.GetTopicId(), Topic: "orders", Partition: p, Offset: offset})
		}
	}
	anywhere(m.c, func(ctx context.Context, at talosv1.GroupsClient) (*talosv1.CommitOffsetsResponse, error) {
		return at.CommitOffsets(ctx, r)
	})
}

func (c *cluster) describe() *talosv1.DescribeGroupResponse {
	c.t.Helper()
	return anywhere(c, func(ctx context.Context, at talosv1.GroupsClient) (*talosv1.DescribeGroupResponse, error) {
		return at.DescribeGroup(ctx, &talosv1.DescribeGroupRequest{Group: group})
	})
}

// mustBe checks that the group is as before, with an offset of each partition.
func (c *cluster) mustBe(before *talosv1.DescribeGroupResponse, offset int64) *talosv1.DescribeGroupResponse {
	c.t.Helper()
	now := c.describe()
	require.Equal(c.t, before.GetEpoch(), now.GetEpoch(), "no rebalance")
	require.Len(c.t, now.GetMembers(), len(before.GetMembers()))
	for i, m := range now.GetMembers() {
		require.Equal(c.t, before.GetMembers()[i].GetMemberEpoch(), m.GetMemberEpoch())
	}
	require.Len(c.t, now.GetOffsets(), partitions)
	for _, o := range now.GetOffsets() {
		require.Equal(c.t, offset, o.GetOffset())
	}
	return now
}

func TestCoordinatorsThatAreKilled(t *testing.T) {
	c := start(t)
	_, err := c.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "orders", Partitions: partitions})
	require.NoError(t, err)
	members := []*member{{c: c, id: "one"}, {c: c, id: "two"}, {c: c, id: "three"}}
	all := func(f func(*member)) {
		for _, m := range members {
			f(m)
		}
	}
	for range 4 {
		all((*member).beat)
	}
	require.Equal(t, talosv1.GroupState_GROUP_STATE_STABLE, c.describe().GetState())
	all(func(m *member) { m.commit(10) })
	before := c.describe()

	c.nodes[before.GetNode()].Kill()
	c.mustBe(before, 10)
	all((*member).beat)
	all(func(m *member) { m.commit(20) })
	second := c.mustBe(before, 20).GetNode()
	require.NotEqual(t, before.GetNode(), second)
	c.nodes[before.GetNode()].Start()

	c.nodes[second].Kill()
	c.mustBe(before, 20)
	all(func(m *member) { m.commit(30) })
	all((*member).beat)
	c.mustBe(before, 30)
}
