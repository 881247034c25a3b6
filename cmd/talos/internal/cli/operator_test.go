package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// console runs commands against a real cluster of two nodes in this process.
type console struct {
	t       *testing.T
	cluster *fake.Cluster
}

func newConsole(t *testing.T) console {
	return console{t, fake.StartT(t, fake.Nodes(2))}
}

// run runs one command and returns what it printed, on standard output and standard
// error.
func (c console) run(args ...string) (out, words string, err error) {
	c.t.Helper()
	return c.runFor(c.t.Context(), args...)
}

func (c console) runFor(ctx context.Context, args ...string) (out, words string, err error) {
	var stdout, stderr strings.Builder
	root := newRoot(program{name: "talos", version: "v0.0.0-test"})
	root.SetArgs(append(args, "--server", c.cluster.Address(), "--timeout", patience.String()))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

// must is run for a command that must succeed.
func (c console) must(args ...string) (out, words string) {
	c.t.Helper()
	out, words, err := c.run(args...)
	require.NoError(c.t, err, "%v: %s", args, words)
	return out, words
}

// owners returns how many partitions each node owns, when nothing moves any more.
func (c console) owners() map[string]int {
	c.t.Helper()
	owners := make(map[string]int)
	require.Eventually(c.t, func() bool {
		var status clusterJSON
		out, _ := c.must("cluster", "status", "-o", "json")
		require.NoError(c.t, json.Unmarshal([]byte(out), &status))
		clear(owners)
		for _, n := range status.Nodes {
			owners[n.ID] = n.Partitions
		}
		return status.Moving == 0 && status.Orphans == 0 && status.Misplaced == 0
	}, patience, 10*time.Millisecond)
	return owners
}

func (c console) awaitOwners(want map[string]int) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		got := c.owners()
		for node, n := range want {
			if got[node] != n {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond)
}

func TestDrainAndBack(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "8")
	c.awaitOwners(map[string]int{"fake-0": 4, "fake-1": 4})

	out, words := c.must("node", "drain", "fake-1", "--dry-run")
	require.Contains(t, out, "its owner drains")
	require.Contains(t, out, "4 partitions to move")
	require.Contains(t, words, "nothing was changed")
	c.awaitOwners(map[string]int{"fake-0": 4, "fake-1": 4})

	out, words = c.must("node", "drain", "fake-1")
	require.Contains(t, out, "4 partitions to move")
	require.Contains(t, words, "fake-1 owns nothing any more and can be stopped")
	c.awaitOwners(map[string]int{"fake-0": 8, "fake-1": 0})
	out, _ = c.must("cluster", "status")
	require.Contains(t, out, "fake-1 is drained")
	out, _ = c.must("node", "list")
	require.Regexp(t, `(?m)^fake-1 +\S+ +drained +0 `, out)
	out, _ = c.must("node", "drain", "fake-1", "-o", "json")
	require.JSONEq(t, `{"node":"fake-1","state":"drained","left":0,"moves":[]}`, out)

	_, words = c.must("node", "uncordon", "fake-1")
	require.Contains(t, words, "fake-1 may own partitions again")
	c.awaitOwners(map[string]int{"fake-0": 4, "fake-1": 4})
	_, words = c.must("node", "uncordon", "fake-9")
	require.Contains(t, words, "there is no node fake-9 now")
	out, _ = c.must("rebalance", "status")
	require.Contains(t, out, "nothing moves, and every node has its share")
	out, _ = c.must("rebalance", "plan")
	require.Equal(t, "nothing to move\n", out)
}

func TestMoveAPartition(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "2")
	c.awaitOwners(map[string]int{"fake-0": 1, "fake-1": 1})
	for _, partition := range []string{"0", "1"} {
		_, words := c.must("partition", "move", "logs", "--partition", partition, "--to", "fake-1")
		require.Contains(t, words, "logs/"+partition+" is on fake-1, and stays there")
	}
	c.awaitOwners(map[string]int{"fake-0": 0, "fake-1": 2})
	out, _ := c.must("partition", "describe", "logs")
	require.Regexp(t, `(?m)^ +1  owned  fake-1  -     fake-1 +\d+ +0 +0 `, out)
	out, _ = c.must("partition", "describe", "logs", "--partition", "1", "-o", "json")
	var line placementJSON
	require.NoError(t, json.Unmarshal([]byte(out), &line))
	require.Equal(t, "fake-1", line.Pin)
	require.Positive(t, line.Epoch)

	c.must("partition", "move", "logs", "--partition", "1", "--unpin")
	c.awaitOwners(map[string]int{"fake-0": 1, "fake-1": 1})

	for _, args := range [][]string{
		{"partition", "move", "logs"},
		{"partition", "move", "logs", "--partition", "1"},
		{"partition", "move", "logs", "--to", "fake-1"},
		{"partition", "move", "logs", "--partition", "1", "--to", "fake-1", "--unpin"},
		{"node", "restart", "fake-1", "--hold", "0s"},
	} {
		_, _, err := c.run(args...)
		require.Equal(t, exitUsage, exitCode(err), "%v", args)
	}
	for kind, args := range map[talos.Kind][]string{
		talos.UnknownNode:      {"partition", "move", "logs", "--partition", "1", "--to", "fake-9"},
		talos.UnknownPartition: {"partition", "describe", "logs", "--partition", "7"},
		talos.UnknownTopic:     {"partition", "describe", "logz"},
	} {
		_, _, err := c.run(args...)
		require.ErrorIs(t, err, kind)
		require.Equal(t, exitNotFound, exitCode(err))
	}
}

// planWithout writes the plan for a cluster without a node to a file.
func (c console) planWithout(node string) (plan, file string) {
	c.t.Helper()
	plan, _ = c.must("rebalance", "plan", "--without", node, "-o", "json")
	file = filepath.Join(c.t.TempDir(), "moves.json")
	require.NoError(c.t, os.WriteFile(file, []byte(plan), 0o600))
	return plan, file
}

func TestApplyAPlanFile(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "6")
	c.awaitOwners(map[string]int{"fake-0": 3, "fake-1": 3})
	out, file := c.planWithout("fake-0")
	require.Equal(t, 3, strings.Count(out, "\n"))

	out, words := c.must("rebalance", "apply", "-f", file, "--pin")
	require.Contains(t, out, "3 partitions to move")
	require.Contains(t, words, "3 partitions are where they should be")
	c.awaitOwners(map[string]int{"fake-0": 3, "fake-1": 3}) // the others made room
	out, _ = c.must("rebalance", "apply", "-f", file, "-o", "json")
	require.Equal(t, 3, strings.Count(out, `"state":"there"`))
	out, _ = c.must("rebalance", "apply")
	require.Equal(t, "nothing to move\n", out)

	require.NoError(t, os.WriteFile(file, []byte("{}\n"), 0o600))
	_, _, err := c.run("rebalance", "apply", "-f", file)
	require.Equal(t, exitRefused, exitCode(err))
}

// What can't be done is refused before the first partition moves, however many there
// are before it.
func TestAPlanFileWithAnUnknownNodeMovesNothing(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "80")
	c.awaitOwners(map[string]int{"fake-0": 40, "fake-1": 40})
	out, file := c.planWithout("fake-0")
	last := strings.LastIndex(out, `"to":"fake-1"`)
	require.NoError(t, os.WriteFile(file, []byte(out[:last]+strings.Replace(out[last:], "fake-1", "fake-9", 1)), 0o600))
	before, _ := c.must("partition", "describe", "logs")
	_, _, err := c.run("rebalance", "apply", "-f", file)
	require.Equal(t, exitNotFound, exitCode(err))
	require.ErrorContains(t, err, "line 40 of the plan")
	require.ErrorContains(t, err, "fake-9")
	after, _ := c.must("partition", "describe", "logs")
	require.Equal(t, before, after)
}

// A plan that was made before a drain is refused before anything moves, and so is a
// single move: neither waits for what will not happen.
func TestWhatGoesToADrainingNodeIsRefused(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "6")
	c.awaitOwners(map[string]int{"fake-0": 3, "fake-1": 3})
	_, file := c.planWithout("fake-0")
	c.must("node", "drain", "fake-1")
	before, _ := c.must("partition", "describe", "logs")
	for _, args := range [][]string{
		{"rebalance", "apply", "-f", file},
		{"rebalance", "apply", "-f", file, "--pin"},
		{"partition", "move", "logs", "--partition", "0", "--to", "fake-1"},
	} {
		_, _, err := c.run(args...)
		require.ErrorIs(t, err, talos.UnschedulableNode, "%v", args)
		require.ErrorContains(t, err, "to go to fake-1, which drains")
		require.Equal(t, exitRefused, exitCode(err))
		require.Contains(t, hint(err), "`talos node uncordon fake-1`")
	}
	after, _ := c.must("partition", "describe", "logs")
	require.Equal(t, before, after)
	c.must("node", "uncordon", "fake-1")
	c.awaitOwners(map[string]int{"fake-0": 3, "fake-1": 3})
}

// A command that waits can be stopped; what it asked for goes on.
func TestDrainIsStopped(t *testing.T) {
	c := newConsole(t)
	c.must("topic", "create", "logs", "--partitions", "4")
	c.awaitOwners(map[string]int{"fake-0": 2, "fake-1": 2})
	_, _, err := c.run("node", "drain", "fake-0", "--no-wait")
	require.NoError(t, err)
	c.awaitOwners(map[string]int{"fake-0": 0, "fake-1": 4})

	// Nobody is left to take anything from fake-1.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stopped := make(chan error, 1)
	go func() {
		_, _, err := c.runFor(ctx, "node", "drain", "fake-1")
		stopped <- err
	}()
	require.Eventually(t, func() bool {
		out, _ := c.must("node", "list")
		return strings.Count(out, "drain") == 2
	}, patience, 10*time.Millisecond)
	stop()
	err = <-stopped
	require.ErrorIs(t, err, talos.Canceled)
	// It goes on, or may do so, if the answer was not there yet.
	require.ErrorContains(t, err, "fake-1 still owns 4 partitions, and ")
	require.Equal(t, exitFailed, exitCode(err))
	c.must("node", "uncordon", "fake-0")
	c.awaitOwners(map[string]int{"fake-0": 4, "fake-1": 0})
}

func TestAnnounceARestart(t *testing.T) {
	c := newConsole(t)
	_, words := c.must("node", "restart", "fake-1", "--hold", "1h")
	require.Contains(t, words, "what fake-1 owns is kept for it for 1h")
	out, _ := c.must("cluster", "status")
	require.Contains(t, out, "fake-1 is about to restart")
	require.Contains(t, out, "changing; it ends by itself")
}
