package upgrade_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/etcd"
	"github.com/talos-log/talos/test/process"
)

// cluster is three nodes over one etcd and one folder.
type cluster struct {
	t      *testing.T
	nodes  []*process.Node
	client *sdk.Client
}

// start runs it in the present version, with a topic.
func start(t *testing.T) *cluster {
	t.Helper()
	binary, err := present.Binary()
	require.NoError(t, err)
	endpoints, store := strings.Join(etcd.ForTest(t, 1).Endpoints(), ","), t.TempDir()
	c := &cluster{t: t}
	for i := range 3 {
		n := process.New(t, process.Config{Binary: binary, Server: true, Args: []string{
			"--node-id", c.id(i), "--etcd", endpoints, "--store", store, "--session-ttl", "5s",
		}})
		c.nodes = append(c.nodes, n)
		n.Start()
	}
	c.client, err = sdk.Dial(c.addresses())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.client.Close()) })
	_, err = c.client.CreateTopic(t.Context(), topic, partitions, talos.TopicConfig{})
	require.NoError(t, err)
	c.awaitEvenOwners()
	return c
}

func (c *cluster) id(i int) string { return fmt.Sprintf("node-%d", i+1) }

// upgrade ends a node as an operator does, and starts it as the next version; it keeps
// its id and its port.
func (c *cluster) upgrade(i int) {
	c.t.Helper()
	binary, err := next.Binary()
	require.NoError(c.t, err)
	c.nodes[i].Stop()
	c.nodes[i].Replace(binary)
	c.nodes[i].Start()
}

func (c *cluster) addresses() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.Address())
	}
	return strings.Join(all, ",")
}

func (c *cluster) status() sdk.ClusterStatus {
	c.t.Helper()
	status, err := c.client.Cluster(c.t.Context())
	require.NoError(c.t, err)
	return status
}

// owners are those of each partition.
func (c *cluster) owners() []string {
	c.t.Helper()
	placement, err := c.client.Placement(c.t.Context(), topic)
	require.NoError(c.t, err)
	var all []string
	for _, p := range placement[0].Partitions {
		all = append(all, p.Owner)
	}
	return all
}

// awaitEvenOwners waits until all nodes are there, each owns its share, and nothing moves.
func (c *cluster) awaitEvenOwners() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		status := c.status()
		return len(status.Nodes) == len(c.nodes) && status.Moving == 0 && !slices.ContainsFunc(status.Nodes, func(n sdk.NodeStatus) bool {
			return !n.Registered || n.Mark != "" || n.Owned != partitions/len(c.nodes)
		})
	}, patience, tick)
}

// requireVersions says which node is of which version.
func (c *cluster) requireVersions(want ...string) {
	c.t.Helper()
	var got []string
	for _, n := range c.status().Nodes {
		got = append(got, n.Version)
	}
	require.Equal(c.t, want, got)
}
