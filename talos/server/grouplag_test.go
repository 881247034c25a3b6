package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/groups"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// roads lead from node to node, unless they are cut.
type roads struct {
	to  sync.Map // listeners by address
	cut atomic.Bool
}

func (r *roads) peers(cfg *Config) {
	cfg.Peers = []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			at, ok := r.to.Load(address)
			if !ok || r.cut.Load() {
				return nil, errors.New("the road is cut")
			}
			return at.(*bufconn.Listener).DialContext(ctx)
		}),
	}
}

// lags returns what a gauge of group and topic shows, by topic.
func (n *testNode) lags(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := n.registry.Gather()
	require.NoError(t, err)
	shown := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			shown[m.GetLabel()[1].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return shown
}

// With more partitions than can be asked for, the same pairs are known each time.
func TestPairsComeInOneOrder(t *testing.T) {
	l := &lagged{shown: map[[2]string]bool{{"z", "b"}: true}}
	want := []groups.Committed{{Group: "z", Topic: "b"}, {Group: "a", Topic: "a"}, {Group: "a", Topic: "b"}, {Group: "z", Topic: "a"}}
	for range 20 {
		all := slices.Clone(want)
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		l.sort(all)
		require.Equal(t, want, all)
	}
}

// Two nodes share a topic. The group's coordinator tells the whole lag, also of
// partitions that it has to ask the other node for, and nothing while it can't ask.
func TestLagCountsPartitionsOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ways := newCluster(), &roads{}
		one := func(cfg *Config) { cfg.GroupPartitions = 1 }
		nodes := map[string]*testNode{}
		for _, id := range []string{"a", "b"} {
			nodes[id] = c.start(t, id, ways.peers, one)
			ways.to.Store(id+".example:7070", nodes[id].rpc)
		}
		topic := nodes["a"].createTopic(t, "orders", 6)
		id := talos.TopicID(topic.GetId())
		view := nodes["a"].meta.View()
		owner := func(p int32) string { return view.Owner(talos.PartitionID{Topic: id, Number: p}).Owner }
		synctest.Wait()
		owned := map[string]int{}
		for p := range int32(6) {
			require.NotEmpty(t, owner(p))
			owned[owner(p)]++
			nodes[owner(p)].producer(t).produce(topic, p, newBatch(t, "x", "y", "z"))
		}
		require.Len(t, owned, 2, "each node owns some")

		// The member finds its coordinator; the other node has partitions of the topic.
		nodes["a"].member(t, "one", "orders").askAway(t)
		time.Sleep(time.Second)
		groupsID, ok := view.Topic(groupsTopic)
		require.True(t, ok)
		coordinator := view.Owner(talos.PartitionID{Topic: groupsID.ID}).Owner
		other := map[string]string{"a": "b", "b": "a"}[coordinator]
		n := nodes[coordinator]
		ways.cut.Store(true)
		reset(t, n.member(t, "two", "orders"), topic, 0, 1)

		time.Sleep(lagInterval + time.Second)
		require.Empty(t, n.lags(t, "talos_groups_lag_records"), "a part of the lag is not the lag")
		require.Equal(t, map[string]float64{"orders": float64(owned[other])}, n.lags(t, "talos_groups_lag_unknown_partitions"))

		ways.cut.Store(false)
		time.Sleep(3 * lagInterval)
		require.Equal(t, map[string]float64{"orders": 6*3 - 1}, n.lags(t, "talos_groups_lag_records"))
		require.Equal(t, map[string]float64{"orders": 0}, n.lags(t, "talos_groups_lag_unknown_partitions"))
		require.Empty(t, nodes[other].lags(t, "talos_groups_lag_records"), "one node tells it")

		// The other node's end is the other node's partitions' move.
		require.NoError(t, nodes[other].stop())
		time.Sleep(2 * lagInterval)
		require.Equal(t, map[string]float64{"orders": 6*3 - 1}, n.lags(t, "talos_groups_lag_records"))

		_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "orders"})
		require.NoError(t, err)
		time.Sleep(2 * lagInterval)
		require.Empty(t, n.lags(t, "talos_groups_lag_records"))
		require.Empty(t, n.lags(t, "talos_groups_lag_unknown_partitions"))
	})
}

// askAway makes the topic of groups, at whichever node its coordinator is.
func (m *groupMember) askAway(t *testing.T) {
	t.Helper()
	_, err := m.groups.Heartbeat(t.Context(), m.request(nil))
	if err != nil {
		require.Equal(t, string(talos.NotOwner), detail(t, err).GetKind())
	}
}

// reset commits for no member.
func reset(t *testing.T, m *groupMember, topic *talosv1.Topic, partition int32, offset int64) {
	t.Helper()
	_, err := m.groups.CommitOffsets(t.Context(), &talosv1.CommitOffsetsRequest{
		Group:   "billing",
		Offsets: []*talosv1.CommittedOffset{{TopicId: topic.GetId(), Topic: topic.GetName(), Partition: partition, Offset: offset}},
	})
	require.NoError(t, err)
}
