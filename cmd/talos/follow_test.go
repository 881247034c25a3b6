package main

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A consumer that follows prints what comes at once, lives through a restart of
// the node, and ends with 0 when it is interrupted.
func TestConsumeFollows(t *testing.T) {
	dir := t.TempDir()
	node, err := startDev(dir)
	require.NoError(t, err)
	defer func() { node.kill() }()
	address := node.rpc
	talos(t, address, "", "topic", "create", "logs")

	consumer := exec.Command("talos", "consume", "logs", "--follow", "--server", address)
	out, err := consumer.StdoutPipe()
	require.NoError(t, err)
	var words strings.Builder
	consumer.Stderr = &words
	require.NoError(t, consumer.Start())
	defer consumer.Process.Kill() //nolint:errcheck // it has ended already if the test passes
	lines := bufio.NewScanner(out)
	next := func() string {
		require.Truef(t, lines.Scan(), "the consumer ended: %s", &words)
		return lines.Text()
	}

	talos(t, address, "one\ntwo\n", "produce", "logs")
	require.Equal(t, "one", next())
	require.Equal(t, "two", next())

	node.kill()
	node, err = startDev(dir, "--listen", address)
	require.NoError(t, err)
	talos(t, address, "three", "produce", "logs")
	require.Equal(t, "three", next())

	require.NoError(t, consumer.Process.Signal(syscall.SIGINT))
	require.False(t, lines.Scan(), "nothing was printed twice")
	require.NoErrorf(t, consumer.Wait(), "stderr: %s", &words)
	require.Empty(t, words.String())
}

// A producer that is interrupted while its input is still open delivers what it
// has read, and says that there was more.
func TestProduceIsInterrupted(t *testing.T) {
	node, err := startDev(t.TempDir(), "--memory")
	require.NoError(t, err)
	defer node.kill()
	talos(t, node.rpc, "", "topic", "create", "logs")

	producer := exec.Command("talos", "produce", "logs", "--server", node.rpc)
	in, err := producer.StdinPipe()
	require.NoError(t, err)
	var words strings.Builder
	producer.Stderr = &words
	require.NoError(t, producer.Start())
	_, err = in.Write([]byte("first\nsecond\nhalf"))
	require.NoError(t, err)
	require.Equal(t, "first\nsecond\n", talos(t, node.rpc, "", "consume", "logs", "--follow", "--max", "2"))

	require.NoError(t, producer.Process.Signal(syscall.SIGINT))
	err = producer.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equalf(t, 1, exit.ExitCode(), "stderr: %s", &words)
	require.Contains(t, words.String(), "2 records to logs/0, offsets 0 to 1")
	require.Contains(t, words.String(), "talos: interrupted")
	require.Contains(t, words.String(), "hint: produce the rest from line 3 on")
}

// Without --follow, a consumer does not wait for ever for a node that went away.
func TestConsumeGivesUpOnALostNode(t *testing.T) {
	node, err := startDev(t.TempDir(), "--memory")
	require.NoError(t, err)
	defer node.kill()
	talos(t, node.rpc, "", "topic", "create", "logs")
	// More than a consumer fetches ahead.
	talos(t, node.rpc, strings.Repeat(strings.Repeat("x", 1_000_000)+"\n", 10), "produce", "logs")

	consumer := exec.CommandContext(t.Context(), "talos", "consume", "logs", "--server", node.rpc, "--timeout", "500ms")
	out, err := consumer.StdoutPipe()
	require.NoError(t, err)
	var words strings.Builder
	consumer.Stderr = &words
	require.NoError(t, consumer.Start())
	_, err = io.ReadFull(out, make([]byte, 100))
	require.NoError(t, err)
	node.kill()
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)

	var exit *exec.ExitError
	require.ErrorAs(t, consumer.Wait(), &exit)
	require.Equalf(t, 4, exit.ExitCode(), "stderr: %s", &words)
	require.Contains(t, words.String(), "talos: logs: the time for this was up")
	require.Contains(t, words.String(), "the node can't be reached")
}

// talos runs the program to its end, which must be a success, and returns what
// it printed.
func talos(t *testing.T, server, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "talos", args...)
	cmd.Env = append(cmd.Environ(), "TALOS_SERVER="+server)
	cmd.Stdin = strings.NewReader(input)
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	require.NoErrorf(t, err, "talos %v: %s", args, &words)
	return string(out)
}
