package process

import (
	"context"
	"errors"
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
	readyTimeout = 30 * time.Second
	// readyInterval is how often /readyz is asked.
	readyInterval = 5 * time.Millisecond
	// readyCall bounds one question.
	readyCall = time.Second
	// endTimeout bounds the wait for the end of a process.
	endTimeout = 30 * time.Second
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
	words     *log
	run       *run
}

// run is one process.
type run struct {
	cmd *exec.Cmd
	// ended is closed when the process is gone; err is what became of it.
	ended chan struct{}
	err   error
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
func (n *Node) Address() string { return n.rpc }

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
	cmd := exec.Command(n.cfg.Binary, args...)
	cmd.Env = append(cleanEnvironment(), env...)
	cmd.Stdout, cmd.Stderr = n.words, n.words
	cmd.SysProcAttr = ChildAttributes()
	n.words.note("--- talos %s %s", strings.Join(args, " "), strings.Join(env, " "))
	require.NoError(n.t, cmd.Start())
	r := &run{cmd: cmd, ended: make(chan struct{})}
	n.run = r
	go func() {
		defer close(r.ended)
		r.err = cmd.Wait()
		n.words.note("--- process %d: %v", cmd.Process.Pid, cmd.ProcessState)
	}()
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
		case <-n.run.ended:
			require.Failf(n.t, "the node ended while it started", "%v", n.run.err)
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
	r := n.process()
	require.NoError(n.t, r.cmd.Process.Kill())
	n.AwaitDeath()
}

// AwaitDeath waits until the process is gone, and makes sure that it was
// SIGKILL that ended it.
func (n *Node) AwaitDeath() {
	n.t.Helper()
	r := n.process()
	select {
	case <-r.ended:
	case <-time.After(endTimeout):
		require.Failf(n.t, "the process did not end", "within %v", endTimeout)
	}
	n.run = nil
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(n.t, ok)
	require.Truef(n.t, status.Signaled() && status.Signal() == syscall.SIGKILL, "the process ended otherwise: %v", r.cmd.ProcessState)
}

// Ended is closed when the process that runs now is gone.
func (n *Node) Ended() <-chan struct{} { return n.process().ended }

// Stop ends the process as an operator does, with SIGTERM, and waits for a
// clean end.
func (n *Node) Stop() {
	n.t.Helper()
	r := n.process()
	require.NoError(n.t, r.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-r.ended:
	case <-time.After(endTimeout):
		require.Failf(n.t, "the process did not end", "within %v of SIGTERM", endTimeout)
	}
	n.run = nil
	require.NoError(n.t, r.err)
}

// Pause stops the process with SIGSTOP, and waits until all of it stands still:
// it keeps its connections and locks.
func (n *Node) Pause() {
	n.t.Helper()
	require.NoError(n.t, n.process().cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(n.t, func() bool { return n.status("State:") == "T (stopped)" }, endTimeout, readyInterval)
}

// Resume lets a paused process go on.
func (n *Node) Resume() {
	n.t.Helper()
	require.NoError(n.t, n.process().cmd.Process.Signal(syscall.SIGCONT))
}

func (n *Node) process() *run {
	n.t.Helper()
	require.NotNil(n.t, n.run, "the node does not run")
	return n.run
}

// end is for the end of the test.
func (n *Node) end() {
	if n.run == nil {
		return
	}
	if err := n.run.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.t.Errorf("kill process %d: %v", n.run.cmd.Process.Pid, err)
		return
	}
	<-n.run.ended
	n.run = nil
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
