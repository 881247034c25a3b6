package hdfsha_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

const (
	// sessionTTL is when a node that died is missed.
	sessionTTL = 2 * time.Second
	// partitions of the topic.
	partitions = 4
	// takeoverLimit is how long a takeover is waited for until it is said to be longer:
	// without the settings it can be a quarter of an hour.
	takeoverLimit = 90 * time.Second
)

// defaults are Hadoop's own values of what operators are told to set.
var defaults = [][2]string{
	{"ipc.client.connect.max.retries", "10"},
	{"ipc.client.connect.retry.interval", "1000"},
	{"ipc.client.connect.timeout", "20000"},
	{"ipc.client.connect.max.retries.on.timeouts", "45"},
	{"dfs.namenode.stale.datanode.interval", "30000"},
}

// A node and the DataNode beside it die at once: a second node takes over with the
// DataNodes that are left. How long that takes depends on how HDFS looks for the dead
// one, and is logged: `make hdfs-long` shows what the settings are good for.
func TestAHostDies(t *testing.T) {
	processes := func(d *hadoop.Daemon) { d.Kill(t) }
	power := func(d *hadoop.Daemon) { d.Vanish(t) }
	type death struct {
		what     string
		die      func(*hadoop.Daemon)
		settings [][2]string
		rounds   int
	}
	deaths := []death{
		{"its processes die", processes, nil, hadoop.Rounds(1, 5)},
		{"it loses power", power, nil, hadoop.Rounds(1, 5)},
	}
	if hadoop.Long() {
		deaths = append(deaths,
			death{"its processes die, with Hadoop's defaults", processes, defaults, 5},
			death{"it loses power, with Hadoop's defaults", power, defaults, 1})
	}
	for _, d := range deaths {
		t.Run(d.what, func(t *testing.T) {
			cluster := running(t)
			if d.settings != nil {
				restart(t, cluster, d.settings...)
				t.Cleanup(func() { restart(t, cluster) })
			}
			takeOver(t, cluster, d.die, d.rounds)
		})
	}
}

// takeOver lets one host after the other die.
func takeOver(t *testing.T, cluster *hadoop.Cluster, die func(*hadoop.Daemon), rounds int) {
	timed(t)
	rng := scene.Random(t)
	s, nodes := newPair(t, cluster.StoreForTest(t))
	follower := s.Follow()
	producers := produce(s, 64)
	var pauses []time.Duration
	for round := range rounds {
		node := nodes[round%2]
		s.AwaitNewAcks(s.History.Now(), settled+rng.IntN(5*settled))
		begun, since := time.Now(), s.History.Now()
		die(cluster.DataNodes()[rng.IntN(3)])
		node.Kill()
		takenOver := func() bool { return s.History.PartitionsSince(since) == partitions }
		if !eventually(takeoverLimit, takenOver) {
			t.Logf("nobody has taken over within %v", takeoverLimit)
		}
		pauses = append(pauses, s.History.LongestPause(begun, time.Now()))
		cluster.Restore(t)
		require.True(t, eventually(takeoverLimit, takenOver))
		node.Start()
	}
	logPauses(t, "a node and a DataNode died, sessions end after "+sessionTTL.String(), pauses)
	s.Finish(producers, follower)
}

// newPair starts two nodes over one etcd and one store, and has them share a topic.
func newPair(t *testing.T, store string) (*scene.Scene, []*process.Node) {
	t.Helper()
	etcd, err := embedded.Start(t.Context(), filepath.Join(t.TempDir(), "etcd"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Close()) })
	binary, err := released.Binary()
	require.NoError(t, err)
	var nodes []*process.Node
	for range 2 {
		n := process.New(t, process.Config{Binary: binary, Server: true, Args: []string{
			"--etcd", etcd.Endpoint(), "--store", store, "--session-ttl", sessionTTL.String(),
		}})
		nodes = append(nodes, n)
	}
	nodes[0].Start()
	nodes[1].Start()
	return scene.New(t, scene.Config{Partitions: partitions, Topic: talos.TopicConfig{SegmentBytes: 1 << 20}, Nodes: nodes}), nodes
}

// restart starts all NameNodes and DataNodes again, with settings.
func restart(t *testing.T, c *hadoop.Cluster, settings ...[2]string) {
	t.Helper()
	c.Restore(t)
	c.Set(t, settings...)
	for _, d := range append(c.DataNodes(), c.NameNode(), c.Standby()) {
		d.Kill(t)
	}
	c.Restore(t)
}

// eventually tells whether something happens in time.
func eventually(limit time.Duration, is func() bool) bool {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.After(limit); !is(); {
		select {
		case <-ticker.C:
		case <-end:
			return is()
		}
	}
	return true
}
