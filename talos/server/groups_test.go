package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// groupMember plays one member of the group "readers".
type groupMember struct {
	t        *testing.T
	groups   talosv1.GroupsClient
	id       string
	instance string
	topics   []string
	sequence int64
	epoch    int32
	assigned []*talosv1.GroupPartitions
}

func (n *testNode) member(t *testing.T, id string, topics ...string) *groupMember {
	return &groupMember{t: t, groups: talosv1.NewGroupsClient(n.conn), id: id, topics: topics}
}

func (m *groupMember) request(owned []*talosv1.GroupPartitions) *talosv1.HeartbeatRequest {
	m.sequence++
	return &talosv1.HeartbeatRequest{
		Group: "readers", MemberId: m.id, InstanceId: m.instance, MemberEpoch: m.epoch, Sequence: m.sequence,
		Topics: m.topics, Owned: owned,
	}
}

// beat sends a heartbeat that owns what the last answer assigned.
func (m *groupMember) beat() {
	m.t.Helper()
	response, err := m.groups.Heartbeat(m.t.Context(), m.request(m.assigned))
	require.NoError(m.t, err)
	m.epoch, m.assigned = response.GetMemberEpoch(), response.GetAssigned()
}

func (m *groupMember) count() int {
	n := 0
	for _, p := range m.assigned {
		n += len(p.GetPartitions())
	}
	return n
}

func (m *groupMember) commit(topic *talosv1.Topic, partition int32, offset int64) error {
	m.sequence++
	_, err := m.groups.CommitOffsets(m.t.Context(), &talosv1.CommitOffsetsRequest{
		Group: "readers", MemberId: m.id, MemberEpoch: m.epoch, Sequence: m.sequence,
		Offsets: []*talosv1.CommittedOffset{{TopicId: topic.GetId(), Topic: topic.GetName(), Partition: partition, Offset: offset}},
	})
	return err
}

func (m *groupMember) committed() map[int32]int64 {
	m.t.Helper()
	response, err := m.groups.FetchOffsets(m.t.Context(), &talosv1.FetchOffsetsRequest{Group: "readers"})
	require.NoError(m.t, err)
	all := make(map[int32]int64)
	for _, o := range response.GetOffsets() {
		all[o.GetPartition()] = o.GetOffset()
	}
	return all
}

func TestGroupSharesPartitionsAndKeepsOffsets(t *testing.T) {
	c := newCluster()
	n := c.start(t, "a")
	topic := n.createTopic(t, "orders", 4)
	one, two := n.member(t, "one", "orders"), n.member(t, "two", "orders")

	one.beat()
	require.Equal(t, 4, one.count())
	require.NoError(t, one.commit(topic, 3, 17))
	require.Equal(t, map[int32]int64{3: 17}, one.committed())

	two.beat()
	require.Equal(t, 0, two.count(), "the first has not given up yet")
	one.beat()
	require.Equal(t, 2, one.count())
	two.beat()
	require.Equal(t, 0, two.count(), "it does not know that the first has stopped")
	one.beat()
	two.beat()
	require.Equal(t, 2, two.count())
	require.Equal(t, string(talos.FencedMember), detail(t, one.commit(topic, two.assigned[0].GetPartitions()[0], 99)).GetKind())

	described, err := one.groups.DescribeGroup(t.Context(), &talosv1.DescribeGroupRequest{Group: "readers"})
	require.NoError(t, err)
	require.Len(t, described.GetMembers(), 2)
	require.Equal(t, talosv1.GroupState_GROUP_STATE_STABLE, described.GetState())
	require.Equal(t, "a", described.GetNode())

	// A restart loses nothing, and moves nothing.
	require.NoError(t, n.stop())
	n = c.start(t, "a")
	one.groups, two.groups = talosv1.NewGroupsClient(n.conn), talosv1.NewGroupsClient(n.conn)
	epochs := []int32{one.epoch, two.epoch}
	one.beat()
	two.beat()
	require.Equal(t, one.epoch, epochs[0])
	require.Equal(t, two.epoch, epochs[1])
	require.Equal(t, map[int32]int64{3: 17}, one.committed())

	_, err = one.groups.DeleteGroup(t.Context(), &talosv1.DeleteGroupRequest{Group: "readers"})
	require.Equal(t, string(talos.GroupNotEmpty), detail(t, err).GetKind())
	for _, m := range []*groupMember{one, two} {
		m.epoch = -1
		_, err := m.groups.Heartbeat(t.Context(), m.request(nil))
		require.NoError(t, err)
	}
	listed := listGroups(t, one.groups)
	require.Len(t, listed, 1)
	require.Equal(t, talosv1.GroupState_GROUP_STATE_EMPTY, listed[0].GetState())
	_, err = one.groups.DeleteGroup(t.Context(), &talosv1.DeleteGroupRequest{Group: "readers"})
	require.NoError(t, err)
	require.Empty(t, listGroups(t, one.groups))
	require.Empty(t, one.committed())
}

func listGroups(t *testing.T, groups talosv1.GroupsClient) []*talosv1.ListedGroup {
	t.Helper()
	var all []*talosv1.ListedGroup
	for at, of := int32(0), int32(1); at < of; at++ {
		response, err := groups.ListGroups(t.Context(), &talosv1.ListGroupsRequest{Coordinator: at})
		require.NoError(t, err)
		all, of = append(all, response.GetGroups()...), response.GetCoordinators()
	}
	return all
}

func TestHeartbeatWaitsForAChange(t *testing.T) {
	n := newCluster().start(t, "a")
	n.createTopic(t, "orders", 2)
	one := n.member(t, "one", "orders")
	one.beat()
	answers := make(chan *talosv1.HeartbeatResponse, 1)
	request := one.request(one.assigned)
	request.MaxWaitMs = 600_000
	request.SessionTimeoutMs = 1_800_000
	go func() {
		response, err := one.groups.Heartbeat(t.Context(), request)
		if err == nil {
			answers <- response
		}
		close(answers)
	}()
	require.Eventually(t, func() bool { return n.value(t, "talos_server_long_polls") == 1 }, patience, patience/1000)
	n.member(t, "two", "orders").beat()
	response := <-answers
	require.NotNil(t, response)
	require.Len(t, response.GetAssigned()[0].GetPartitions(), 1)
}

func TestInternalTopicsAreRefused(t *testing.T) {
	n := newCluster().start(t, "a")
	n.createTopic(t, "orders", 1)
	n.member(t, "one", "orders").beat()
	listed, err := n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
	require.NoError(t, err)
	require.Len(t, listed.GetTopics(), 1)
	listed, err = n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{Internal: true})
	require.NoError(t, err)
	require.Len(t, listed.GetTopics(), 2)
	own := listed.GetTopics()[0]
	require.Equal(t, string(groupsTopic), own.GetName())

	const refused = string(talos.InvalidTopicName)
	_, err = n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "__talos_mine", Partitions: 1})
	require.Equal(t, refused, detail(t, err).GetKind())
	_, err = n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: own.GetName()})
	require.Equal(t, refused, detail(t, err).GetKind())
	_, err = n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: own.GetName()})
	require.Equal(t, refused, detail(t, err).GetKind())
	_, err = n.log.DeleteRecords(t.Context(), &talosv1.DeleteRecordsRequest{TopicId: own.GetId()})
	require.Equal(t, refused, detail(t, err).GetKind())
	p := n.producer(t)
	p.send(own.GetId(), 0, newBatch(t, "x"))
	require.Equal(t, refused, p.receive().GetError().GetKind())
}

func TestADeposedCoordinatorTellsNothing(t *testing.T) {
	n := newCluster().start(t, "a", func(cfg *Config) { cfg.GroupPartitions = 1 })
	topic := n.createTopic(t, "orders", 1)
	one := n.member(t, "one", "orders")
	one.beat()
	require.NoError(t, one.commit(topic, 0, 1))
	own, ok := n.meta.View().Topic(groupsTopic)
	require.True(t, ok)
	_, err := n.meta.Record(talos.PartitionID{Topic: own.ID}).Raise(t.Context())
	require.NoError(t, err)
	_, err = one.groups.FetchOffsets(t.Context(), &talosv1.FetchOffsetsRequest{Group: "readers"})
	require.Equal(t, string(talos.NotOwner), detail(t, err).GetKind())
	_, err = one.groups.DescribeGroup(t.Context(), &talosv1.DescribeGroupRequest{Group: "readers"})
	require.Equal(t, string(talos.NotOwner), detail(t, err).GetKind())
}

func TestOffsetsGoWithTheirTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCluster().start(t, "a")
		topic := n.createTopic(t, "orders", 2)
		n.producer(t).produce(topic, 0, newBatch(t, "a", "b", "c"))
		one := n.member(t, "one", "orders")
		one.beat()
		require.NoError(t, one.commit(topic, 0, 1))
		time.Sleep(upkeepInterval + time.Second)
		require.Equal(t, map[int32]int64{0: 1}, one.committed())
		require.InDelta(t, 2, n.value(t, "talos_groups_lag_records"), 0)
		require.InDelta(t, 1, n.value(t, "talos_groups_commits_total"), 0)

		_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "orders"})
		require.NoError(t, err)
		n.createTopic(t, "orders", 2)
		time.Sleep(upkeepInterval + time.Second)
		require.Empty(t, one.committed())
	})
}
