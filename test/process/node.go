package process

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// readyTimeout bounds the time from the start of a process until it serves.
	readyTimeout = 2 * time.Minute
	// readyInterval is how often /readyz is asked.
	readyInterval = 5 * time.Millisecond
	// readyCall bounds one question.
	readyCall = time.Second
	// endTimeout bounds the wait for the end of a process.
	endTimeout = 2 * time.Minute
)

// Config says what to run.
type Config struct {
	// Binary is the program's path.
	Binary string
	// Data is the data folder of `talos dev`.
	Data string
	// Server makes it `talos server`, for which Args say where everything is kept.
	Server bool
	// Args follow the flags that Start sets.
	Args []string
}

// Node is one node over one data folder, at most one process at a time. It
// belongs to one test; its methods must not be called concurrently, but for
// Running.
type Node struct {
	t         testing.TB
	cfg       Config
	rpc, http string
	// reached is where clients go instead of rpc, if not empty.
	reached string
	words   *log
	run     *Child
}

// New prepares a node and chooses its ports; nothing runs yet. When the test
// ends the node's process is killed; if the test failed, what the node wrote to
// standard error is shown.
func New(t testing.TB, cfg Config) *Node {
	t.Helper()
	rpc, err := FreeAddress()
	require.NoError(t, err)
	pages, err := FreeAddress()
	require.NoError(t, err)
	n := &Node{t: t, cfg: cfg, rpc: rpc, http: pages, words: &log{}}
	t.Cleanup(func() {
		n.end()
		if t.Failed() {
			t.Logf("what the node wrote to standard error:\n%s", n.words)
		}
	})
	return n
}

// Address is host:port for clients. It stays the same over restarts.
func (n *Node) Address() string {
	if n.reached != "" {
		return n.reached
	}
	return n.rpc
}

// Listens is host:port where the node itself takes connections.
func (n *Node) Listens() string { return n.rpc }

// Advertise makes clients go elsewhere, to what leads to Listens. The node tells it
// to other nodes and to clients from its next start on.
func (n *Node) Advertise(address string) { n.reached = address }

// Replace makes the next start run another program, over the same data and ports.
func (n *Node) Replace(binary string) { n.cfg.Binary = binary }

// PID is the id of the process that runs now.
func (n *Node) PID() int { return n.process().PID() }

// Running says whether a process runs that was not ended here, stopped or not.
func (n *Node) Running() bool { return n.run != nil }

// Pages is host:port of the pages for operators. It stays the same, too.
func (n *Node) Pages() string { return n.http }

// Words returns what all processes of this node wrote to standard error, or the
// end of it.
func (n *Node) Words() string { return n.words.String() }

// Start runs a process, and waits until it serves. env is added to the
// environment.
func (n *Node) Start(env ...string) {
	n.t.Helper()
	n.Launch(env...)
	n.AwaitReady()
}

// Launch runs a process and does not wait for anything.
func (n *Node) Launch(env ...string) {
	n.t.Helper()
	require.Nil(n.t, n.run, "the node runs already")
	args := []string{"dev", "--data", n.cfg.Data}
	if n.cfg.Server {
		args = []string{"server"}
	}
	args = append(append(args, "--listen", n.rpc, "--http", n.http), n.cfg.Args...)
	if n.reached != "" {
		args = append(args, "--advertise", n.reached)
	}
	cmd := exec.Command(n.cfg.Binary, args...)
	cmd.Env = append(cleanEnvironment(), env...)
	cmd.Stdout, cmd.Stderr = n.words, n.words
	n.words.note("--- talos %s %s", strings.Join(args, " "), strings.Join(env, " "))
	child, err := Launch(cmd)
	require.NoError(n.t, err)
	n.run = child
}

// AwaitReady waits until the process serves.
func (n *Node) AwaitReady() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), readyTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		err := n.askReady(ctx, client)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-n.run.Ended():
			require.Failf(n.t, "the node ended while it started", "%v", n.run.Err())
		case <-ctx.Done():
			require.Failf(n.t, "the node is not ready in time", "after %v: %v", readyTimeout, err)
		}
	}
}

func (n *Node) askReady(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, readyCall)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", response.Status)
	}
	return nil
}

// Kill ends the process with SIGKILL, and waits until it is gone.
func (n *Node) Kill() {
	n.t.Helper()
	require.NoError(n.t, n.process().Signal(syscall.SIGKILL))
	n.AwaitDeath()
}

// AwaitDeath waits until the process is gone, and makes sure that it was
// SIGKILL that ended it.
func (n *Node) AwaitDeath() {
	n.t.Helper()
	r := n.process()
	select {
	case <-r.Ended():
	case <-time.After(endTimeout):
		require.Failf(n.t, "the process did not end", "within %v", endTimeout)
	}
	n.ended()
	require.Truef(n.t, r.Killed(), "the process ended otherwise: %v", r.Err())
}

// ended forgets a process that is gone.
func (n *Node) ended() {
	n.words.note("--- process %d: %v", n.run.PID(), n.run.cmd.ProcessState)
	n.run = nil
}

// Ended is closed when the process that runs now is gone.
func (n *Node) Ended() <-chan struct{} { return n.process().Ended() }

// Stop ends the process as an operator does, with SIGTERM, and waits for a
// clean end.
func (n *Node) Stop() {
	n.t.Helper()
	r := n.process()
	require.NoError(n.t, r.End(syscall.SIGTERM, endTimeout))
	n.ended()
	require.NoError(n.t, r.Err())
}

// Pause stops the process with SIGSTOP, and waits until all of it stands still:
// it keeps its connections and locks.
func (n *Node) Pause() {
	n.t.Helper()
	require.NoError(n.t, n.process().Pause())
}

// Resume lets a paused process go on.
func (n *Node) Resume() {
	n.t.Helper()
	require.NoError(n.t, n.process().Resume())
}

func (n *Node) process() *Child {
	n.t.Helper()
	require.NotNil(n.t, n.run, "the node does not run")
	return n.run
}

// end is for the end of the test.
func (n *Node) end() {
	if n.run == nil {
		return
	}
	if err := n.run.End(syscall.SIGKILL, endTimeout); err != nil {
		n.t.Errorf("at the end of the test: %v", err)
		return
	}
	n.ended()
}

// cleanEnvironment is the environment without Talos's own variables.
func cleanEnvironment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TALOS_") {
			kept = append(kept, v)
		}
	}
	return kept
}
