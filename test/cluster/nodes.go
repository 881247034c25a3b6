package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/process"
)

const (
	// readyTimeout bounds the time until a node serves.
	readyTimeout  = 2 * time.Minute
	readyInterval = 20 * time.Millisecond
	askTimeout    = 2 * time.Second
)

// cluster are the nodes. Its methods belong to one goroutine.
type cluster struct {
	settings
	etcd  string
	out   io.Writer
	nodes []*node
}

// node is one `talos server`: at most one process at a time.
type node struct {
	id, address, pages string
	log                string
	args               []string
	child              *process.Child
}

// start runs all nodes, and waits until each of them serves.
func (c *cluster) start(ctx context.Context) error {
	for i := range c.settings.nodes {
		n, err := c.prepare(i)
		if err != nil {
			return err
		}
		if err := n.launch(c.binary); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, n := range c.nodes {
		if err := n.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) prepare(i int) (*node, error) {
	id := fmt.Sprintf("node-%d", i+1)
	n := &node{id: id, log: filepath.Join(c.data, id+".log")}
	var err error
	if n.address, err = c.address(10 * i); err != nil {
		return nil, err
	}
	if n.pages, err = c.address(10*i + 1); err != nil {
		return nil, err
	}
	n.args = []string{
		"server", "--node-id", id, "--listen", n.address, "--http", n.pages,
		"--etcd", c.etcd, "--store", c.store, "--session-ttl", c.lease.String(),
	}
	return n, nil
}

func (c *cluster) address(offset int) (string, error) {
	if c.port == 0 {
		return process.FreeAddress()
	}
	return fmt.Sprintf("127.0.0.1:%d", c.port+offset), nil
}

func (n *node) launch(binary string) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, n.args...)
	cmd.Stdout, cmd.Stderr = log, log
	n.child, err = process.Launch(cmd)
	// The process has a file descriptor of its own.
	return errors.Join(err, log.Close())
}

// await waits until the node serves.
func (n *node) await(ctx context.Context) error {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: askTimeout}
	for {
		err := ask(ctx, client, "http://"+n.pages+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-n.child.Ended():
			return fmt.Errorf("%s ended while it started (%w); what it said is in %s", n.id, n.child.Err(), n.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve (%w, %w); what it said is in %s", n.id, context.Cause(ctx), err, n.log)
		}
	}
}

func ask(ctx context.Context, client *http.Client, page string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
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
		return errors.New(response.Status)
	}
	return nil
}

// tell prints where everything is, and what to try.
func (c *cluster) tell() error {
	var text strings.Builder
	var addresses []string
	fmt.Fprintf(&text, "\n%d nodes serve; Ctrl-C ends them, and the data stays in %s\n\n", len(c.nodes), c.data)
	for _, n := range c.nodes {
		addresses = append(addresses, n.address)
		fmt.Fprintf(&text, "  %-7s %s   pages on http://%s   process %d\n", n.id, n.address, n.pages, n.child.PID())
	}
	fmt.Fprintf(&text, "  etcd    %s\n  store   %s\n", c.etcd, c.store)
	victim := c.nodes[len(c.nodes)-1]
	fmt.Fprintf(&text, `
In another terminal:

  export TALOS_SERVER=%s
  bin/talos topic create logs --partitions 6
  seq 1000000 | sed 's/.*/&:&/' | bin/talos produce logs --key-separator : &
  kill -9 %d      # %s, while that sends; it comes back %s
  wait
  bin/talos consume logs --from earliest | sort -n | cmp - <(seq 1000000) && echo 'all there, once'
  bin/talos offsets logs      # which node owns what

`, strings.Join(addresses, ","), victim.child.PID(), victim.id, c.returns())
	_, err := io.WriteString(c.out, text.String())
	return err
}

// returns says when a node comes back.
func (c *cluster) returns() string {
	if c.again == 0 {
		return "no more"
	}
	return fmt.Sprintf("%v later", c.again)
}

// watch says which node has ended, and starts it again, until ctx ends.
func (c *cluster) watch(ctx context.Context) error {
	ended, watched := make(chan *node, len(c.nodes)), sync.WaitGroup{}
	defer watched.Wait()
	look := func(n *node) {
		child := n.child
		watched.Go(func() {
			select {
			case <-child.Ended():
				ended <- n
			case <-ctx.Done():
			}
		})
	}
	for _, n := range c.nodes {
		look(n)
	}
	due := make(chan *node, len(c.nodes))
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-ended:
			if err := c.say("%s, process %d, has ended (%v); it comes back %s\n", n.id, n.child.PID(), n.child.Err(), c.returns()); err != nil {
				return err
			}
			if c.again > 0 {
				watched.Go(func() {
					select {
					case <-time.After(c.again):
						due <- n
					case <-ctx.Done():
					}
				})
			}
		case n := <-due:
			if err := n.launch(c.binary); err != nil {
				return err
			}
			look(n)
			if err := c.say("%s is started again, as process %d\n", n.id, n.child.PID()); err != nil {
				return err
			}
		}
	}
}

func (c *cluster) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

// end ends all nodes at once, as an operator does; one that does not end is killed.
func (c *cluster) end() error {
	results := make(chan error, len(c.nodes))
	for _, n := range c.nodes {
		go func() {
			err := n.child.End(syscall.SIGTERM, endTimeout)
			if err != nil {
				err = errors.Join(err, n.child.End(syscall.SIGKILL, endTimeout))
			}
			results <- err
		}()
	}
	var failed []error
	for range c.nodes {
		failed = append(failed, <-results)
	}
	return errors.Join(failed...)
}
