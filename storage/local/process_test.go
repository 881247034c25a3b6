package local_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/talos"
)

// holderRoot, in the environment, makes the test binary a process that creates
// the segment id in that root and appends to it until it is killed.
const holderRoot = "TALOS_TEST_HOLDER_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(holderRoot); root != "" {
		fmt.Fprintln(os.Stderr, hold(root))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// hold prints the length of the segment after each acknowledgement, a line each,
// with a few appends in flight. It returns only if something fails.
func hold(root string) error {
	s, err := local.Open(root, local.Options{})
	if err != nil {
		return err
	}
	a, err := s.Create(context.Background(), id, []byte("head"), talos.Sync)
	if err != nil {
		return err
	}
	fmt.Println(len("head"))
	slots, failed := make(chan struct{}, 4), make(chan error, 1)
	for n := 1; ; n++ {
		select {
		case err := <-failed:
			return err
		case slots <- struct{}{}:
		}
		length := len("head") + n*len(record(n))
		a.Append([]byte(record(n)), func(err error) {
			if err != nil {
				failed <- err
				return
			}
			fmt.Println(length)
			<-slots
		})
	}
}

func record(n int) string { return fmt.Sprintf("record %08d;", n) }

// holder is a process that appends.
type holder struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // its output; closed when it has ended
}

func startHolder(t *testing.T, root string) *holder {
	t.Helper()
	h := &holder{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 1)}
	h.cmd.Env = append(os.Environ(), holderRoot+"="+root)
	h.cmd.Stderr = os.Stderr
	out, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	go func() {
		defer close(h.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() { h.kill() })
	return h
}

// acknowledged waits for n acknowledgements.
func (h *holder) acknowledged(n int) {
	h.t.Helper()
	for range n {
		select {
		case _, ok := <-h.lines:
			require.True(h.t, ok, "the process that holds the segment has ended")
		case <-time.After(30 * time.Second):
			require.FailNow(h.t, "no acknowledgement came")
		}
	}
}

// kill kills the process and returns the last length that it acknowledged.
func (h *holder) kill() (length int64) {
	if h.cmd.ProcessState != nil {
		return 0
	}
	_ = h.cmd.Process.Kill() // it may have ended by itself
	for line := range h.lines {
		if n, err := strconv.ParseInt(line, 10, 64); err == nil {
			length = n
		}
	}
	_ = h.cmd.Wait() // "signal: killed"
	return length
}

func TestTheSegmentOfAKilledProcessIsRecovered(t *testing.T) {
	for round := range 5 {
		root := t.TempDir()
		h := startHolder(t, root)
		h.acknowledged(10 * (1 + round))
		acknowledged := h.kill()
		s := open(t, root, local.Options{})
		info, err := s.Recover(t.Context(), id)
		require.NoError(t, err)
		require.GreaterOrEqual(t, info.Size, acknowledged)
		content, err := os.ReadFile(filepath.Join(root, "topic", "0", "a"))
		require.NoError(t, err)
		require.Len(t, content, int(info.Size))
		var want strings.Builder
		want.WriteString("head")
		for n := 1; want.Len() < len(content); n++ {
			want.WriteString(record(n))
		}
		require.Equal(t, want.String()[:len(content)], string(content))
	}
}

func TestASegmentInUseByAnotherProcessCantBeRecoveredAndTheErrorNamesIt(t *testing.T) {
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			root := t.TempDir()
			h := startHolder(t, root)
			h.acknowledged(5)
			if state == "stopped" {
				require.NoError(t, h.cmd.Process.Signal(syscall.SIGSTOP))
			} else {
				go func() {
					for range h.lines { // so that it is not blocked by its output
					}
				}()
			}
			s := open(t, root, local.Options{LockWait: 50 * time.Millisecond})
			_, err := s.Recover(t.Context(), id)
			requireInUseBy(t, err, h.cmd.Process.Pid)
			pid, path := h.cmd.Process.Pid, filepath.Join(root, "topic", "0", "a")
			require.EqualError(t, err, fmt.Sprintf("local.Recover topic/0/a: the data folder is in use by another process: "+
				"process %d has %s open and did not let go of it within 50ms: the file is locked by process %d", pid, path, pid))

			h.kill()
			_, err = s.Recover(t.Context(), id)
			require.NoError(t, err)
		})
	}
}

func TestRecoverWaitsUntilTheOtherProcessHasEnded(t *testing.T) {
	root := t.TempDir()
	h := startHolder(t, root)
	h.acknowledged(5)
	s, fs := openHooked(t, root, local.Options{LockWait: time.Minute})
	tried := make(chan struct{}, 1000)
	fs.set(nil, func(op string) {
		if op == "lock shared topic/0/a" {
			tried <- struct{}{}
		}
	})
	recovered := make(chan error, 1)
	var info storage.Info
	go func() {
		var err error
		info, err = s.Recover(t.Context(), id)
		recovered <- err
	}()
	for range 2 { // it has failed once and tries again
		select {
		case <-tried:
		case err := <-recovered:
			require.FailNow(t, "Recover returned while the other process lived", "%v", err)
		}
	}
	acknowledged := h.kill()
	require.NoError(t, <-recovered)
	require.GreaterOrEqual(t, info.Size, acknowledged)
}
