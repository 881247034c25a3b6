package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

const (
	// serveInterval is how often a server is asked that does not serve yet, and
	// serveCall bounds one question.
	serveInterval = 20 * time.Millisecond
	serveCall     = 2 * time.Second
)

// Server is one `talos server` of a program that is no test: at most one process at
// a time, always with the same addresses. Its methods must not be called
// concurrently. Node is what tests have.
type Server struct {
	// ID is the node's, Address host:port for clients, and Pages that of the pages for
	// operators.
	ID, Address, Pages string
	// Log is the file that takes what all its processes write.
	Log string
	// Args follow these, and Env is added to the environment.
	Args, Env []string

	child *Child
}

// Launch runs a process, and does not wait for anything.
func (s *Server) Launch(binary string) error {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	args := []string{"server", "--node-id", s.ID, "--listen", s.Address, "--http", s.Pages}
	cmd := exec.Command(binary, append(args, s.Args...)...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	child, err := Launch(cmd)
	if err == nil {
		s.child = child
	}
	// The process has a file descriptor of its own.
	return errors.Join(err, log.Close())
}

// Child is the process that was launched last; nil if there was none.
func (s *Server) Child() *Child { return s.child }

// Await waits until the node serves.
func (s *Server) Await(ctx context.Context) error {
	ticker := time.NewTicker(serveInterval)
	defer ticker.Stop()
	for {
		err := Ready(ctx, s.Pages)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.child.Ended():
			return fmt.Errorf("%s ended while it started (%w); what it said is in %s", s.ID, s.child.Err(), s.Log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve (%w, %w); what it said is in %s", s.ID, context.Cause(ctx), err, s.Log)
		}
	}
}

// Ready asks a node's pages whether it serves.
func Ready(ctx context.Context, pages string) error {
	ctx, cancel := context.WithTimeout(ctx, serveCall)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pages+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
