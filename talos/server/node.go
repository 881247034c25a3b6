package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/health"
)

// Node is one node. New makes it, Run runs it, once.
type Node struct {
	cfg         Config
	metrics     *serverMetrics
	logMetrics  *partition.Metrics
	health      *faults
	producerIDs *coordinator.ProducerIDs
	// grpcHealth is what the gRPC health service tells.
	grpcHealth *health.Server

	// produceBytes, answerBytes, calls and longPolls hold the limits of Capacity.
	produceBytes *semaphore.Weighted
	answerBytes  *semaphore.Weighted
	calls        *semaphore.Weighted
	longPolls    chan struct{}
	// streaming are the methods whose requests may take their time. It is written
	// before the node serves.
	streaming map[string]bool

	// term is the one that serves; nil while the node is not registered, or ends.
	term atomic.Pointer[term]
	// leaving tells that the node ends.
	leaving atomic.Bool
	// closing is closed when the node has given its partitions up for good.
	closing chan struct{}
	// receivers are the goroutines that read from streams of Produce.
	receivers sync.WaitGroup

	// tails and history are what all partitions keep in memory for readers, at the
	// tail and of what lies behind.
	tails   *partition.Tails
	history *partition.History
}

// New checks the configuration and makes a node that does nothing yet.
func New(cfg Config) (*Node, error) {
	cfg.ensureDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	tails, history := partition.NewTails(cfg.TailBytes), partition.NewHistory(cfg.HistoryBytes)
	n := &Node{
		cfg: cfg, logMetrics: partition.NewMetrics(), health: &faults{store: cfg.Store, meta: cfg.Meta, grace: cfg.StoreGrace},
		producerIDs: coordinator.NewProducerIDs(cfg.Meta), grpcHealth: health.NewServer(),
		produceBytes: semaphore.NewWeighted(int64(max(cfg.Capacity.ProduceBytes, cfg.Limits.BatchBytes()))),
		answerBytes:  semaphore.NewWeighted(int64(max(cfg.Capacity.AnswerBytes, LeastAnswerBytes(cfg.Limits)))),
		calls:        semaphore.NewWeighted(int64(cfg.Capacity.Streams)),
		longPolls:    make(chan struct{}, cfg.Capacity.LongPolls),
		closing:      make(chan struct{}),
		tails:        tails,
		history:      history,
	}
	n.metrics = newMetrics(tails, history, n.refusedPartitions, n.ownedPartitions, n.heldGroups)
	n.publishHealth(false)
	return n, nil
}

// Listeners are where a node is reached. The node closes them.
type Listeners struct {
	RPC net.Listener
	// HTTP serves the operators' pages; nil means none.
	HTTP net.Listener
}

func (l Listeners) close() error {
	err := l.RPC.Close()
	if l.HTTP != nil {
		err = errors.Join(err, l.HTTP.Close())
	}
	return err
}

// Run serves until parent ends, then hands the partitions over, and returns nil if
// that went well. Any other error means that the node could not go on. Every
// goroutine has ended and every partition is closed when it returns, and the node is
// not registered anymore.
func (n *Node) Run(parent context.Context, at Listeners) error {
	if err := n.register(n.cfg.Registerer); err != nil {
		return errors.Join(fmt.Errorf("register metrics: %w", err), at.close())
	}
	defer n.unregister(n.cfg.Registerer)

	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	var workers sync.WaitGroup
	workers.Go(func() { n.health.watch(ctx) })
	stopRPC := n.serveRPC(at.RPC, fail)
	stopHTTP := n.serveHTTP(at.HTTP, fail)

	err := n.serveTerms(ctx)
	if parent.Err() == nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	fail(nil)
	n.grpcHealth.Shutdown()
	close(n.closing)
	stopRPC()
	n.receivers.Wait()
	stopHTTP()
	workers.Wait()
	n.history.Close()
	return err
}

// serveTerms registers and serves, over and over, until ctx ends.
func (n *Node) serveTerms(ctx context.Context) error {
	for {
		n.setServing(nil)
		if err := n.cfg.Meta.Register(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("register: %w", err)
		}
		n.metrics.registrations.Inc()
		if done, err := n.serveTerm(ctx, newTerm(ctx, n)); done {
			return err
		}
	}
}

// serveTerm serves until the registration is lost, or ctx ends: then it is done.
func (n *Node) serveTerm(ctx context.Context, t *term) (done bool, err error) {
	n.setServing(t)
	topics, _ := t.view.Count()
	n.cfg.Logger.Info("serving", "node", n.cfg.NodeID, "address", n.cfg.Address, "topics", topics)
	select {
	case <-n.cfg.Meta.Lost():
		n.setServing(nil)
		// Whoever owns the partitions now fences them. What is unanswered is answered
		// as retryable, and nothing is waited for.
		ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancel()
		if err := t.end(ended); err != nil && !errors.Is(err, context.Canceled) {
			n.cfg.Logger.Warn("partitions were not dropped in good order", "error", err)
		}
		return false, nil
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.Drain-2*n.callsTime())
		defer cancel()
		err := n.leave(ctx, t)
		n.cfg.Meta.Deregister()
		return true, err
	}
}

// callsTime is how long each port waits at the node's end for calls under way.
func (n *Node) callsTime() time.Duration { return min(drainTimeout, n.cfg.Drain/4) }

func (n *Node) setServing(t *term) {
	n.term.Store(t)
	n.metrics.serving.Set(0)
	if t != nil {
		n.metrics.serving.Set(1)
	}
	n.publishHealth(t != nil)
}

// serving returns the term, or the error for a client that should ask again,
// maybe another node.
func (n *Node) serving() (*term, error) {
	if t := n.term.Load(); t != nil {
		return t, nil
	}
	return nil, n.notActive()
}

func (n *Node) notActive() error {
	return &talos.Error{Kind: talos.NotServing, Op: "server.Node", Subject: n.cfg.NodeID, Detail: n.whyNotActive()}
}

func (n *Node) whyNotActive() string {
	if n.leaving.Load() || n.isClosing() {
		return "the node is shutting down"
	}
	return "the node is not registered in etcd now, so it may own nothing"
}

func (n *Node) isClosing() bool {
	select {
	case <-n.closing:
		return true
	default:
		return false
	}
}

// Ready returns nil if the node serves, as far as it knows, else an error that
// says why not.
func (n *Node) Ready() error {
	var err error
	if n.term.Load() == nil || n.leaving.Load() {
		err = errors.New(n.whyNotActive())
	}
	return errors.Join(err, n.health.check())
}

// wait waits for d, or less if ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
