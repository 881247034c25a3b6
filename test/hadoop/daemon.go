package hadoop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/process"
)

// endTimeout bounds the wait for the end of a process. One that writes an archive
// of its classes takes a while.
const endTimeout = time.Minute

// Daemon is the NameNode or a DataNode: at most one process at a time, always
// with the same data and the same ports.
type Daemon struct {
	name           string
	address, pages string
	folder         string
	log            string
	// command prepares a process.
	command func() *exec.Cmd
	// await waits until the process serves, whatever the other daemons do.
	await func(ctx context.Context) error
	run   *run
	// ports are all that it listens on, and silent what holds them since Vanish.
	ports  []string
	silent []io.Closer
}

// run is one process.
type run struct {
	*process.Child
	// logged is where its part of the log begins.
	logged int64
}

// String is "namenode", or "datanode-" and a number from 1 on.
func (d *Daemon) String() string { return d.name }

// Address is host:port where clients reach it: the NameNode's RPC, or a
// DataNode's data transfer. It stays the same over restarts.
func (d *Daemon) Address() string { return d.address }

// Log is the file that all its processes write to.
func (d *Daemon) Log() string { return d.log }

// UUID is a DataNode's identity, which the NameNode knows it by.
func (d *Daemon) UUID(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.folder, "current", "VERSION"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "datanodeUuid="); ok {
			return strings.TrimSpace(id)
		}
	}
	require.Failf(t, "no identity", "%s has none: %s", d, text)
	return ""
}

// Pid is that of the process it was run as last.
func (d *Daemon) Pid() int { return d.run.PID() }

// Running says whether it has a process, stopped or not.
func (d *Daemon) Running() bool {
	if d.run == nil {
		return false
	}
	select {
	case <-d.run.Ended():
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL, and waits until it is gone.
func (d *Daemon) Kill(t testing.TB) {
	t.Helper()
	require.True(t, d.Running(), "%s does not run", d)
	require.NoError(t, d.end(syscall.SIGKILL))
}

// Crash is Kill for programs.
func (d *Daemon) Crash() error { return d.end(syscall.SIGKILL) }

// Stop stops the process with SIGSTOP, and waits until all of it stands still: it
// keeps its connections, and answers nothing.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	require.True(t, d.Running(), "%s does not run", d)
	require.NoError(t, d.run.Pause())
}

// Continue lets a stopped process go on.
func (d *Daemon) Continue(t testing.TB) {
	t.Helper()
	require.True(t, d.Running(), "%s does not run", d)
	require.NoError(t, d.run.Resume())
}

// Start runs a process again after Kill, and waits until it serves; that the
// others have noticed is for Restore.
func (d *Daemon) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, d.launch())
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	require.NoError(t, d.await(ctx))
}

// launch runs a process, and does not wait for anything.
func (d *Daemon) launch() error {
	if d.Running() {
		return fmt.Errorf("%s runs already", d)
	}
	if err := d.audible(); err != nil {
		return err
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	cmd := d.command()
	cmd.Stdout, cmd.Stderr = log, log
	child, err := process.Launch(cmd)
	// The process has a file descriptor of its own.
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("start %s: %w", d, err)
	}
	d.run = &run{Child: child, logged: before}
	return nil
}

// hasLogged says whether the process that runs now has written something.
func (d *Daemon) hasLogged(words string) (bool, error) {
	all, err := os.ReadFile(d.log)
	if err != nil {
		return false, err
	}
	return bytes.Contains(all[d.run.logged:], []byte(words)), nil
}

// end sends a signal that ends the process, and waits until it is gone. It may
// be gone already.
func (d *Daemon) end(signal os.Signal) error {
	if d.run == nil {
		return nil
	}
	if err := d.run.End(signal, endTimeout); err != nil {
		return fmt.Errorf("end %s: %w", d, err)
	}
	return nil
}
