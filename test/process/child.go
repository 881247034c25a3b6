package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// stillTimeout bounds the time from SIGSTOP until a process stands still.
	stillTimeout = time.Minute
	// stillInterval is how often it is looked at.
	stillInterval = time.Millisecond
)

// Child is one process that was started here, from its start on. Its methods may
// be called concurrently.
type Child struct {
	cmd *exec.Cmd
	// ended is closed when the process is gone; err is what became of it.
	ended chan struct{}
	err   error
}

// Launch starts a process that does not outlive this one.
func Launch(cmd *exec.Cmd) (*Child, error) {
	cmd.SysProcAttr = ChildAttributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	return c, nil
}

// PID is the process's id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Err says what became of a process that has ended; nil after a clean end.
func (c *Child) Err() error {
	<-c.ended
	return c.err
}

// Killed tells whether it was SIGKILL that ended the process.
func (c *Child) Killed() bool {
	<-c.ended
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Signal sends a signal. A process that is gone is no error.
func (c *Child) Signal(signal os.Signal) error {
	if err := c.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", c.PID(), err)
	}
	return nil
}

// End sends a signal that ends the process, and waits until it is gone. It may be
// gone already.
func (c *Child) End(signal os.Signal, within time.Duration) error {
	if err := c.Signal(signal); err != nil {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(within):
		return fmt.Errorf("process %d has not ended within %v of: %v", c.PID(), within, signal)
	}
}

// Pause stops the process with SIGSTOP, and waits until each of its threads stands
// still: it keeps its connections and locks, and answers nothing.
func (c *Child) Pause() error {
	if err := c.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.NewTimer(stillTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(stillInterval)
	defer ticker.Stop()
	for !c.StandsStill() {
		select {
		case <-ticker.C:
		case <-c.ended:
			return fmt.Errorf("process %d has ended", c.PID())
		case <-deadline.C:
			return fmt.Errorf("process %d does not stop", c.PID())
		}
	}
	return nil
}

// Resume lets a paused process go on.
func (c *Child) Resume() error { return c.Signal(syscall.SIGCONT) }

// StandsStill asks Linux about each thread.
func (c *Child) StandsStill() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.PID()))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil || !strings.Contains(string(status), "\nState:\tT (stopped)\n") {
			return false
		}
	}
	return true
}
