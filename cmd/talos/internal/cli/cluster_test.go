package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
)

// noon is when the screens of these tests are shown.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)

// threeNodes are a cluster in which all is well.
func threeNodes() sdk.ClusterStatus {
	s := sdk.ClusterStatus{ID: "4f1c0de8-6a8e-4f3a-9a52-0c6c4d7f9b10", At: noon, Scheduler: "node-1", Topics: 4, Partitions: 120}
	for _, id := range []string{"node-1", "node-2", "node-3"} {
		s.Nodes = append(s.Nodes, sdk.NodeStatus{
			ID: id, Address: "10.0.0." + id[5:] + ":7070", Version: "v1.2.3", Registered: true, Started: noon.Add(-26 * time.Hour),
			Owned: 40, BytesPerSecond: 1.5 * (1 << 20), AppendsPerSecond: 210,
		})
	}
	return s
}

func clusterScreen(t *testing.T, s sdk.ClusterStatus) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, printCluster(&out, s))
	return out.String()
}

func TestClusterScreenWhenAllIsWell(t *testing.T) {
	screen(t, `
state       all is well
cluster     4f1c0de8-6a8e-4f3a-9a52-0c6c4d7f9b10
scheduler   node-1
partitions  120 in 4 topics

NODE    ADDRESS        STATE   PARTITIONS  IN  OUT  BYTES/S  APPENDS/S       UP  VERSION
node-1  10.0.0.1:7070  serves          40   0    0  1.5 MiB        210  26h0m0s  v1.2.3
node-2  10.0.0.2:7070  serves          40   0    0  1.5 MiB        210  26h0m0s  v1.2.3
node-3  10.0.0.3:7070  serves          40   0    0  1.5 MiB        210  26h0m0s  v1.2.3
`, clusterScreen(t, threeNodes()))
}

func TestClusterScreenSaysWhatToDo(t *testing.T) {
	s := threeNodes()
	s.Nodes[0].Unfit, s.Nodes[0].UnfitSince = "the store can't be used: no route to host", noon.Add(-95*time.Second)
	s.Nodes[1].Mark, s.Nodes[1].Owned, s.Nodes[1].Outgoing = sdk.MarkDrain, 12, 8
	s.Nodes[2] = sdk.NodeStatus{ID: "node-3", Owned: 40, Mark: sdk.MarkRestart, MarkUntil: noon.Add(80 * time.Second)}
	s.Held, s.Moving = 40, 8
	screen(t, "\n"+
		"state       somebody must act\n"+
		"cluster     4f1c0de8-6a8e-4f3a-9a52-0c6c4d7f9b10\n"+
		"scheduler   node-1\n"+
		"partitions  120 in 4 topics, 40 waiting for a restart, 8 moving\n"+
		"\n"+
		"* node-1 has said for 1m35s that it can't do its work: the store can't be\n"+
		"    used: no route to host\n"+
		"    check the store as that host sees it; other nodes have its partitions, if\n"+
		"    they can reach the store\n"+
		"* 8 partitions are moving\n"+
		"    `talos rebalance status` shows them\n"+
		"* node-2 drains: 12 partitions to hand over\n"+
		"    `talos node uncordon node-2` takes it back\n"+
		"* node-3 is away for a restart: 40 partitions wait for it until 12:01:20\n"+
		"    (1m20s from now)\n"+
		"    start it; or give its partitions to others at once with `talos node drain\n"+
		"    node-3`\n"+
		"\n"+
		"NODE    ADDRESS        STATE     PARTITIONS  IN  OUT  BYTES/S  APPENDS/S       UP  VERSION\n"+
		"node-1  10.0.0.1:7070  unfit             40   0    0  1.5 MiB        210  26h0m0s  v1.2.3\n"+
		"node-2  10.0.0.2:7070  draining          12   0    8  1.5 MiB        210  26h0m0s  v1.2.3\n"+
		"node-3  -              away              40   0    0      0 B          0        -  -\n",
		clusterScreen(t, s))
}

// What is not as usual, each by itself.
func TestRemarks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *sdk.ClusterStatus)
		state  condition
		what   string
	}{
		"nobody plans": {func(s *sdk.ClusterStatus) { s.Scheduler = "" }, busy, "no node plans now"},
		"orphans":      {func(s *sdk.ClusterStatus) { s.Orphans = 1 }, busy, "1 partition is without an owner"},
		"all drain": {func(s *sdk.ClusterStatus) {
			for i := range s.Nodes {
				s.Nodes[i].Mark = sdk.MarkDrain
			}
		}, trouble, "no node may own partitions"},
		"a move without end": {func(s *sdk.ClusterStatus) {
			s.Moving = 1
			s.Moves = []sdk.PartitionMove{{Topic: "logs", Partition: 3, From: "node-1", To: "node-2", Since: noon.Add(-2 * time.Minute)}}
		}, trouble, "logs/3 has been on its way from node-1 to node-2 for 2m0s"},
		"a pin": {func(s *sdk.ClusterStatus) { s.Pinned, s.Misplaced = 5, 2 }, busy, "2 partitions are not where an operator pinned"},
		"drained": {func(s *sdk.ClusterStatus) {
			s.Nodes[1].Mark, s.Nodes[1].Owned = sdk.MarkDrain, 0
		}, well, "node-2 is drained"},
		"ends": {func(s *sdk.ClusterStatus) {
			s.Nodes[1].Mark, s.Nodes[1].Ending = sdk.MarkDrain, true
		}, busy, "node-2 ends: 40 partitions to hand over"},
		"drained and away": {func(s *sdk.ClusterStatus) {
			s.Nodes[1] = sdk.NodeStatus{ID: "node-2", Mark: sdk.MarkDrain}
		}, well, "node-2 is drained, and away"},
		"about to restart": {func(s *sdk.ClusterStatus) {
			s.Nodes[1].Mark, s.Nodes[1].MarkUntil = sdk.MarkRestart, noon.Add(time.Minute)
		}, busy, "node-2 is about to restart"},
		"a restart without end": {func(s *sdk.ClusterStatus) {
			s.Nodes[1] = sdk.NodeStatus{ID: "node-2", Mark: sdk.MarkRestart, MarkUntil: noon.Add(-time.Minute)}
		}, trouble, "node-2 did not come back from its restart in time"},
		"versions": {func(s *sdk.ClusterStatus) { s.Nodes[2].Version = "v1.3.0" }, well, "different versions: v1.2.3, v1.3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := threeNodes()
			c.change(&s)
			remarks := remarksOf(s)
			require.NotEmpty(t, remarks)
			require.Equal(t, c.state, remarks[0].state)
			require.Equal(t, c.state.String(), toClusterJSON(s).State)
			require.Contains(t, remarks[0].what, c.what)
		})
	}
}

func TestPlanScreen(t *testing.T) {
	plan := sdk.MovePlan{Pause: 50 * time.Millisecond, AtOnce: 16, Moves: []sdk.PlannedMove{
		{Topic: "logs", Partition: 3, From: "node-1", To: "node-2", Reason: "balance", BytesPerSecond: 1 << 20},
		{Topic: "logs", Partition: 11, To: "node-2", Reason: "it has no owner"},
	}}
	var out strings.Builder
	require.NoError(t, printPlan(&out, plan))
	screen(t, `
PARTITION  FROM    TO      BYTES/S  WHY
logs/3     node-1  node-2  1.0 MiB  balance
logs/11    -       node-2      0 B  it has no owner

NODE    GETS  GIVES
node-1     0      1
node-2     2      0

2 partitions to move; each takes no records for about 50ms, at most 16 at a time
`, out.String())

	for n := range int32(50) {
		plan.Moves = append(plan.Moves, sdk.PlannedMove{Topic: "more", Partition: n, From: "node-1", To: "node-2"})
	}
	plan.More = 5
	out.Reset()
	require.NoError(t, printPlan(&out, plan))
	require.Contains(t, out.String(), "and 17 more (`talos rebalance plan -o json` shows 52)\n")
	require.Contains(t, out.String(), "57 partitions to move;")
}

func TestRebalanceStatusScreen(t *testing.T) {
	s := threeNodes()
	s.Nodes[0].Outgoing, s.Nodes[1].Incoming, s.Moving = 1, 1, 1
	s.Moves = []sdk.PartitionMove{{Topic: "logs", Partition: 3, From: "node-1", To: "node-2", Since: noon.Add(-2 * time.Second)}}
	var out strings.Builder
	require.NoError(t, printRebalance(&out, s, sdk.MovePlan{Moves: make([]sdk.PlannedMove, 4)}))
	screen(t, "\n"+
		"NODE    PARTITIONS  IN  OUT  BYTES/S\n"+
		"node-1          40   0    1  1.5 MiB\n"+
		"node-2          40   1    0  1.5 MiB\n"+
		"node-3          40   0    0  1.5 MiB\n"+
		"\n"+
		"PARTITION  FROM    TO      FOR\n"+
		"logs/3     node-1  node-2   2s\n"+
		"\n"+
		"1 partition is moving, 4 still to begin (`talos rebalance plan` shows them)\n", out.String())
}
