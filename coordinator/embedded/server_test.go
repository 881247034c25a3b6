package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/talos"
)

// childDir is set in the environment of a child: the folder that it serves.
const childDir = "TALOS_TEST_EMBEDDED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// child serves the folder until it is killed. It prints what it found, writes
// one more key, and says when etcd has acknowledged it.
func child(dir string) int {
	server, err := embedded.Start(context.Background(), dir, quiet())
	if err != nil {
		fmt.Println("start:", err)
		return 1
	}
	kv, err := etcd.Open(etcd.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	found, err := kv.List(context.Background(), "/round/")
	if err != nil {
		fmt.Println("list:", err)
		return 1
	}
	fmt.Println("found", len(found))
	key := fmt.Sprintf("/round/%d", len(found))
	if _, err := kv.Commit(context.Background(), nil, []coordinator.Op{coordinator.Put(key, nil)}); err != nil {
		fmt.Println("put:", err)
		return 1
	}
	// From here on nothing refers to the server; its folder must stay locked.
	for range 2 {
		runtime.GC()
	}
	fmt.Println("wrote")
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // waits to be killed, or for the end of the parent
	return 0
}

// process is a child and its answers.
type process struct {
	command *exec.Cmd
	stdin   io.Closer
	lines   *bufio.Scanner
}

func startChild(t *testing.T, dir string) *process {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childDir+"="+dir)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := &process{command: command, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(func() { p.kill(t) })
	return p
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	require.True(t, p.lines.Scan(), "the child ended without a word")
	return p.lines.Text()
}

// kill ends the child by SIGKILL and waits for it; again, it does nothing.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if p.command.ProcessState != nil {
		return
	}
	require.NoError(t, p.command.Process.Kill())
	err := p.command.Wait()
	require.ErrorContains(t, err, "killed")
	status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

func TestStart_AfterSIGKILLFindsWhatWasAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	for round := range 5 {
		p := startChild(t, dir)
		require.Equal(t, "found "+strconv.Itoa(round), p.line(t))
		require.Equal(t, "wrote", p.line(t))
		p.kill(t)
	}
}

func TestStart_TheFolderIsInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	p := startChild(t, dir)
	require.Equal(t, "found 0", p.line(t))
	require.Equal(t, "wrote", p.line(t))

	_, err := embedded.Start(t.Context(), dir, quiet())
	require.ErrorIs(t, err, talos.StoreInUse)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "pid "+strconv.Itoa(p.command.Process.Pid))

	// The lock ends with the process, however that ends.
	p.kill(t)
	start(t, dir)
	_, err = embedded.Start(t.Context(), dir, quiet())
	require.ErrorIs(t, err, talos.StoreInUse, "also within one process")
}

func TestStart_TheFolderIsForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "etcd")
	start(t, dir)
	for _, path := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "member")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
	}
}

func TestClose_FreesTheFolderAndMayBeRepeated(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	require.NoError(t, first.Close())
	start(t, dir)
	require.NoError(t, first.Close())
	_, err := embedded.Start(t.Context(), dir, quiet())
	require.ErrorIs(t, err, talos.StoreInUse, "the second Close left the second server alone")
}

func TestStart_ListensOnLoopbackOnly(t *testing.T) {
	endpoint := start(t, t.TempDir()).Endpoint()
	require.True(t, strings.HasPrefix(endpoint, "127.0.0.1:"), endpoint)
	require.False(t, strings.HasSuffix(endpoint, ":0"), endpoint)
}

func TestStart_WhatIsNoFolderIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := embedded.Start(t.Context(), file, quiet())
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.ErrorContains(t, err, file)
}

// A start that fails leaves the folder free, and a damaged one is not mended by
// starting anew.
func TestStart_OnADamagedFolderFailsEachTime(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "member"), []byte("not a folder"), 0o600))
	for range 2 {
		_, err := embedded.Start(t.Context(), dir, quiet())
		require.ErrorIs(t, err, talos.MetaUnavailable)
		require.ErrorContains(t, err, dir)
	}
}

func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), dir, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
