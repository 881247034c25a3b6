package fake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server"
	"google.golang.org/grpc/test/bufconn"
)

// pipeBytes is what a connection through memory holds, in bytes.
const pipeBytes = 1 << 20

// node is one node of a cluster; it keeps its id and address from start to start.
type node struct {
	id       string
	address  string
	inMemory bool
	meta     *coordinator.Meta
	end      context.CancelFunc
	ended    chan error

	mu sync.Mutex // guards the fields below, for those who only look
	// listener is that of the next start, or of the present one; nil in between.
	listener net.Listener
	running  *server.Node // nil while it does not run
}

// now returns what the node consists of.
func (n *node) now() (*server.Node, net.Listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running, n.listener
}

func (n *node) set(running *server.Node, l net.Listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running, n.listener = running, l
}

func newNode(number int, inMemory bool) (*node, error) {
	n := &node{id: fmt.Sprintf("fake-%d", number), inMemory: inMemory, address: "127.0.0.1:0"}
	if inMemory {
		n.address = fmt.Sprintf("fake-%d:7070", number)
	}
	if err := n.listen(); err != nil {
		return nil, err
	}
	if !inMemory {
		_, l := n.now()
		n.address = l.Addr().String()
	}
	return n, nil
}

func (n *node) listen() error {
	if n.inMemory {
		n.set(nil, bufconn.Listen(pipeBytes))
		return nil
	}
	l, err := net.Listen("tcp", n.address)
	if err != nil {
		return &talos.Error{Kind: talos.Unavailable, Op: "fake.Start", Subject: n.address, Cause: err}
	}
	n.set(nil, l)
	return nil
}

func (n *node) start(ctx context.Context, c *Cluster) error {
	if _, l := n.now(); l == nil {
		if err := n.listen(); err != nil {
			return err
		}
	}
	logger := c.cfg.logger.With("node", n.id)
	meta, err := coordinator.Open(ctx, c.kv.Handle(), coordinator.Node{ID: n.id, Address: n.address}, logger)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		NodeID: n.id, Address: n.address, Version: "fake", Store: c.store, Meta: meta,
		Limits: c.cfg.limits, Protocols: c.cfg.protocols, Logger: logger,
	})
	if err != nil {
		meta.Close()
		return err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	_, l := n.now()
	n.meta, n.end, n.ended = meta, end, ended
	n.set(s, l)
	go func() { ended <- s.Run(running, server.Listeners{RPC: l}) }()
	return nil
}

// stop ends the node, and forgets a listener that nobody used.
func (n *node) stop() error {
	running, l := n.now()
	n.set(nil, nil)
	switch {
	case running != nil:
		n.end()
		err := <-n.ended
		n.meta.Close()
		return err
	case l != nil:
		return l.Close()
	default:
		return nil
	}
}

// Connect is the clients' dialer where there is no network. A dialer of a test's own
// (sdk.WithDialer) may refuse, delay or cut what it returns.
func (c *Cluster) Connect(ctx context.Context, address string) (net.Conn, error) {
	for _, n := range c.nodes {
		if n.address != address {
			continue
		}
		if _, l := n.now(); l != nil {
			if pipe, ok := l.(*bufconn.Listener); ok {
				return pipe.DialContext(ctx)
			}
		}
		return nil, errors.New("the node does not run")
	}
	return nil, fmt.Errorf("no node of the fake cluster is at %s", address)
}
