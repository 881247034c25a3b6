package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/process"
)

// readyTimeout bounds the time until a node serves.
const readyTimeout = 2 * time.Minute

// cluster are the nodes. Its methods belong to one goroutine.
type cluster struct {
	settings
	etcd  string
	out   io.Writer
	nodes []*process.Server
}

// start runs all nodes, and waits until each of them serves.
func (c *cluster) start(ctx context.Context) error {
	for i := range c.settings.nodes {
		n, err := c.prepare(i)
		if err != nil {
			return err
		}
		if err := n.Launch(c.binary); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, n := range c.nodes {
		if err := n.Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) prepare(i int) (*process.Server, error) {
	id := fmt.Sprintf("node-%d", i+1)
	address, err := c.address(10 * i)
	if err != nil {
		return nil, err
	}
	pages, err := c.address(10*i + 1)
	if err != nil {
		return nil, err
	}
	return &process.Server{
		ID: id, Address: address, Pages: pages, Log: filepath.Join(c.data, id+".log"),
		Args: []string{"--etcd", c.etcd, "--store", c.store, "--session-ttl", c.lease.String()},
	}, nil
}

func (c *cluster) address(offset int) (string, error) {
	if c.port == 0 {
		return process.FreeAddress()
	}
	return fmt.Sprintf("127.0.0.1:%d", c.port+offset), nil
}

// tell prints where everything is, and what to try.
func (c *cluster) tell() error {
	var text strings.Builder
	var addresses []string
	fmt.Fprintf(&text, "\n%d nodes serve; Ctrl-C ends them, and the data stays in %s\n\n", len(c.nodes), c.data)
	for _, n := range c.nodes {
		addresses = append(addresses, n.Address)
		fmt.Fprintf(&text, "  %-7s %s   pages on http://%s   process %d\n", n.ID, n.Address, n.Pages, n.Child().PID())
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

`, strings.Join(addresses, ","), victim.Child().PID(), victim.ID, c.returns())
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
	ended, watched := make(chan *process.Server, len(c.nodes)), sync.WaitGroup{}
	defer watched.Wait()
	look := func(n *process.Server) {
		child := n.Child()
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
	due := make(chan *process.Server, len(c.nodes))
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-ended:
			if err := c.say("%s, process %d, has ended (%v); it comes back %s\n", n.ID, n.Child().PID(), n.Child().Err(), c.returns()); err != nil {
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
			if err := n.Launch(c.binary); err != nil {
				return err
			}
			look(n)
			if err := c.say("%s is started again, as process %d\n", n.ID, n.Child().PID()); err != nil {
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
			err := n.Child().End(syscall.SIGTERM, endTimeout)
			if err != nil {
				err = errors.Join(err, n.Child().End(syscall.SIGKILL, endTimeout))
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
