package process_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/process"
	"go.uber.org/goleak"
)

// childEnv makes this test binary stand for the program: a process that says
// that it is ready, and ends on SIGTERM.
const childEnv = "PROCESS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(addressesEnv) != "" {
		os.Exit(giveAddresses())
	}
	if os.Getenv(childEnv) != "" {
		if err := child(os.Args); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	line := strings.Join(args[1:], " ")
	if _, err := fmt.Fprintf(os.Stderr, "pid %d: %s\n", os.Getpid(), line); err != nil {
		return err
	}
	var data, rpc, pages string
	if _, err := fmt.Sscanf(line, "dev --data %s --listen %s --http %s", &data, &rpc, &pages); err != nil {
		return err
	}
	s := http.Server{Addr: pages, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				w.WriteHeader(http.StatusNotFound)
			}
		})}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

func newNode(t *testing.T) *process.Node {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return process.New(t, process.Config{Binary: self, Data: t.TempDir()})
}

// pids reads from a node's words which processes it has been.
func pids(t *testing.T, n *process.Node) []int {
	t.Helper()
	var all []int
	for line := range strings.Lines(n.Words()) {
		if rest, ok := strings.CutPrefix(line, "pid "); ok {
			number, _, _ := strings.Cut(rest, ":")
			pid, err := strconv.Atoi(number)
			require.NoError(t, err)
			all = append(all, pid)
		}
	}
	return all
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestANodeKeepsItsPlaceOverRestarts(t *testing.T) {
	n := newNode(t)
	address, pages := n.Address(), n.Pages()
	n.Start(childEnv + "=1")
	require.Positive(t, n.PeakMemory())
	n.Kill()
	n.Start(childEnv + "=1")
	n.Stop()
	require.Equal(t, []string{address, pages}, []string{n.Address(), n.Pages()})
	require.Equal(t, 2, strings.Count(n.Words(), "--listen "+address+" --http "+pages+" \n")+
		strings.Count(n.Words(), "--listen "+address+" --http "+pages+"\n"))
	for _, pid := range pids(t, n) {
		require.False(t, alive(pid))
	}
}

func TestAProcessThatKillsItselfIsNoticed(t *testing.T) {
	n := newNode(t)
	n.Start(childEnv + "=1")
	require.NoError(t, syscall.Kill(pids(t, n)[0], syscall.SIGKILL))
	n.AwaitDeath()
	require.Contains(t, n.Words(), "signal: killed")
}

func TestAPausedProcessGoesOnLater(t *testing.T) {
	n := newNode(t)
	n.Start(childEnv + "=1")
	n.Pause()
	client := http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	_, err := client.Get("http://" + n.Pages() + "/readyz")
	require.Error(t, err)
	n.Resume()
	n.AwaitReady()
	n.Stop()
}

func TestNoProcessOutlivesItsTest(t *testing.T) {
	var left []int
	t.Run("a test that leaves its node running", func(t *testing.T) {
		n := newNode(t)
		n.Start(childEnv + "=1")
		left = pids(t, n)
		require.True(t, alive(left[0]))
	})
	require.False(t, alive(left[0]))
}

func TestPortsAreNotTakenForOutgoingConnections(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	require.NoError(t, err)
	var first, last int
	_, err = fmt.Sscan(string(text), &first, &last)
	require.NoError(t, err)
	for range 20 {
		n := newNode(t)
		_, port, ok := strings.Cut(n.Address(), ":")
		require.True(t, ok)
		number, err := strconv.Atoi(port)
		require.NoError(t, err)
		require.Less(t, number, first)
	}
}
