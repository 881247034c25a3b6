package fake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/sdk"
	store "github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// Cluster is a running cluster. Its methods may be called by several goroutines,
// but those that start and stop nodes by one at a time.
type Cluster struct {
	cfg    config
	kv     *mem.KV
	store  *store.Store
	nodes  []*node
	client *sdk.Client

	mu      sync.Mutex // guards dialed
	dialed  []*sdk.Client
	closing sync.Once
	closed  error
}

// Start starts a cluster and returns when it serves. InvalidConfig if an option
// can't be used. Close it.
func Start(ctx context.Context, opts ...Option) (*Cluster, error) {
	cfg := config{nodes: 1, logger: slog.New(slog.DiscardHandler), limits: talos.DefaultLimits()}
	for _, opt := range opts {
		opt(&cfg)
	}
	if cfg.nodes < 1 || cfg.nodes > maxNodes {
		return nil, &talos.Error{
			Kind: talos.InvalidConfig, Op: "fake.Start", Detail: fmt.Sprintf("nodes: %d, want 1 to %d", cfg.nodes, maxNodes),
		}
	}
	c := &Cluster{cfg: cfg, kv: mem.New(), store: store.New()}
	err := c.open(ctx)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// StartT is Start for a test: the cluster ends with it, and what goes wrong fails
// it.
func StartT(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), opts...)
	if err != nil {
		t.Fatalf("start a fake cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the fake cluster: %v", err)
		}
	})
	return c
}

func (c *Cluster) open(ctx context.Context) error {
	for i := range c.cfg.nodes {
		n, err := newNode(i, c.cfg.inMemory)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
		if err := c.StartNode(ctx, i); err != nil {
			return err
		}
	}
	if err := c.awaitServing(ctx); err != nil {
		return err
	}
	var err error
	c.client, err = c.Dial()
	return err
}

// Address is what sdk.Dial takes: the addresses of all nodes, separated by commas.
func (c *Cluster) Address() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.address)
	}
	return strings.Join(all, ",")
}

// Client returns the cluster's own client, which ends with it.
func (c *Cluster) Client() *sdk.Client { return c.client }

// Dial returns another client, which ends with the cluster at the latest.
func (c *Cluster) Dial(opts ...sdk.Option) (*sdk.Client, error) {
	if c.cfg.inMemory {
		opts = append([]sdk.Option{sdk.WithDialer(c.Connect)}, opts...)
	}
	client, err := sdk.Dial(c.Address(), opts...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialed = append(c.dialed, client)
	return client, nil
}

// Serving is the number of the node that owns the partitions, from 0 on; -1 if
// none does now.
func (c *Cluster) Serving() int {
	for i, n := range c.nodes {
		if running, _ := n.now(); running != nil && running.Ready() == nil {
			return i
		}
	}
	return -1
}

// StartNode starts a node that does not run: node 0 is the first. It does not wait
// for the node to serve.
func (c *Cluster) StartNode(ctx context.Context, i int) error {
	if running, _ := c.nodes[i].now(); running != nil {
		return &talos.Error{Kind: talos.InvalidRequest, Op: "fake.StartNode", Subject: c.nodes[i].id, Detail: "it runs"}
	}
	return c.nodes[i].start(ctx, c)
}

// Stop ends a node in good order: it hands its partitions over. Another node takes
// over by itself.
func (c *Cluster) Stop(i int) error { return c.nodes[i].stop() }

// Restart stops the node that serves, starts it again at the same address, and
// returns when a node serves.
func (c *Cluster) Restart(ctx context.Context) error {
	i := max(0, c.Serving())
	if err := c.Stop(i); err != nil {
		return err
	}
	if err := c.StartNode(ctx, i); err != nil {
		return err
	}
	return c.awaitServing(ctx)
}

func (c *Cluster) awaitServing(ctx context.Context) error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for c.Serving() < 0 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return &talos.Error{Kind: talos.KindOf(ctx.Err()), Op: "fake.Cluster", Detail: "no node serves yet", Cause: ctx.Err()}
		}
	}
	return nil
}

// Close ends clients and nodes; everything is forgotten. It returns the first
// call's error again.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		c.mu.Lock()
		clients := c.dialed
		c.mu.Unlock()
		var errs []error
		for _, client := range clients {
			errs = append(errs, client.Close())
		}
		for _, n := range c.nodes {
			errs = append(errs, n.stop())
		}
		c.closed = errors.Join(errs...)
	})
	return c.closed
}
