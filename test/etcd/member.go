package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/process"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is one of them: at most one process at a time, always with the same data
// and addresses. Its methods must not be called concurrently.
type Member struct {
	binary, name   string
	address, peers string
	folder, log    string
	cluster        string
	quick          bool
	child          *process.Child
}

// String is "etcd-" and a number from 1 on.
func (m *Member) String() string { return m.name }

// Address is host:port for clients. It stays the same over restarts.
func (m *Member) Address() string { return m.address }

// PID is the id of the process that was started last.
func (m *Member) PID() int { return m.child.PID() }

// Start runs a process again after Kill, and waits until it serves.
func (m *Member) Start(ctx context.Context) error {
	if err := m.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return m.await(ctx)
}

// Kill ends the process with SIGKILL, and waits until it is gone. It may be gone
// already.
func (m *Member) Kill() error { return m.end(syscall.SIGKILL) }

// End ends the process as an operator does, with SIGTERM.
func (m *Member) End() error { return m.end(syscall.SIGTERM) }

func (m *Member) end(signal os.Signal) error {
	if m.child == nil {
		return nil
	}
	if err := m.child.End(signal, endTimeout); err != nil {
		return err
	}
	m.child = nil
	return nil
}

// Stop makes the process stand still: it keeps its connections and answers nothing.
func (m *Member) Stop() error { return m.child.Pause() }

// Continue makes a stopped process go on.
func (m *Member) Continue() error { return m.child.Resume() }

// Running says whether it has a process, stopped or not.
func (m *Member) Running() bool { return m.child != nil }

// launch runs a process, and does not wait for anything.
func (m *Member) launch() error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	args := []string{
		"--name", m.name, "--data-dir", m.folder, "--log-level", "warn",
		"--listen-client-urls", "http://" + m.address, "--advertise-client-urls", "http://" + m.address,
		"--listen-peer-urls", "http://" + m.peers, "--initial-advertise-peer-urls", "http://" + m.peers,
		"--initial-cluster", m.cluster,
	}
	if m.quick {
		args = append(args, "--heartbeat-interval", "25", "--election-timeout", "250")
	}
	cmd := exec.Command(m.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	m.child, err = process.Launch(cmd)
	// The process has a file descriptor of its own.
	return errors.Join(err, log.Close())
}

// await waits until the member serves.
func (m *Member) await(ctx context.Context) error {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		s, err := m.status(ctx)
		switch {
		case err == nil && s.Leader != 0:
			return nil
		case err == nil:
			err = errors.New("there is no leader")
		}
		select {
		case <-ticker.C:
		case <-m.child.Ended():
			return fmt.Errorf("%s ended while it started: %w", m, m.child.Err())
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w, %w", m, context.Cause(ctx), err)
		}
	}
}

// status asks this member alone.
func (m *Member) status(ctx context.Context) (s *clientv3.StatusResponse, err error) {
	client, err := newClient([]string{m.address})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return client.Status(ctx, m.address)
}
