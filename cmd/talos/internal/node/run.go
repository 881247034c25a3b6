package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/storage/metered"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server"
	"github.com/talos-log/talos/talos/server/access"
	"google.golang.org/grpc"
)

// readyPoll is how often a starting node is asked whether it serves yet.
const readyPoll = 20 * time.Millisecond

// Config says what to run.
type Config struct {
	Backing Backing
	// Listen and HTTP are host:port; port 0 takes a free one. HTTP may be empty:
	// no pages for operators then.
	Listen, HTTP string
	// Advertise is host:port as clients reach Listen; empty means Listen itself,
	// with the host's name if it listens everywhere.
	Advertise string
	// ID is the node's id; empty means the id that the backing keeps, or else the
	// advertised address.
	ID      string
	Version string
	Logger  *slog.Logger
	// TLS and all up to Drain are server.Config's.
	TLS      *tls.Config
	Access   *access.Guard
	Peers    []grpc.DialOption
	Limits   talos.Limits
	Capacity server.Capacity
	Groups   groups.Config
	// GroupPartitions may be 0, as in server.Config.
	GroupPartitions int32
	Drain           time.Duration
	// Started is called once, when the node serves for the first time; from then on
	// requests are answered. It may be nil.
	Started func(Addresses)
}

// Addresses are where a node is reached, as host:port; HTTP may be empty.
type Addresses struct {
	RPC, HTTP string
}

// Run runs a node until ctx ends, and returns nil after a clean end: partitions
// handed over, everything closed.
func Run(ctx context.Context, cfg Config) (err error) {
	parts, err := cfg.Backing(ctx, cfg.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close()) }()
	if err := parts.instrument(); err != nil {
		return err
	}

	at, err := listen(cfg)
	if err != nil {
		return err
	}
	started := false
	defer func() {
		if !started {
			closeListeners(at)
		}
	}()
	advertise, err := advertised(cfg, at.RPC.Addr())
	if err != nil {
		return err
	}
	id := firstOf(cfg.ID, parts.nodeID, advertise)
	meta, err := coordinator.Open(ctx, parts.kv, coordinator.Node{ID: id, Address: advertise, Version: cfg.Version}, cfg.Logger)
	if err != nil {
		return err
	}
	defer meta.Close()

	measured := metered.New(parts.store)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), measured)
	if parts.collector != nil {
		registry.MustRegister(parts.collector)
	}
	n, err := server.New(server.Config{
		NodeID: id, Address: advertise, Version: cfg.Version,
		Store: measured, Meta: meta, Logger: cfg.Logger,
		Registerer: registry, Gatherer: registry,
		TLS: cfg.TLS, Access: cfg.Access, Peers: cfg.Peers, Limits: cfg.Limits, Capacity: cfg.Capacity, Drain: cfg.Drain,
		Groups: cfg.Groups, GroupPartitions: cfg.GroupPartitions,
	})
	if err != nil {
		return err
	}
	where := addresses(at)
	cfg.Logger.Info("listening", "rpc", where.RPC, "http", where.HTTP, "advertised", advertise, "node", id)
	started = true // Run closes the listeners
	return runNode(ctx, n, at, func() {
		if cfg.Started != nil {
			cfg.Started(where)
		}
	})
}

// runNode runs n, and calls ready once, when n serves for the first time.
func runNode(ctx context.Context, n *server.Node, at server.Listeners, ready func()) error {
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, at) }()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-poll.C:
			if n.Ready() == nil {
				ready()
				return <-ended
			}
		}
	}
}

func listen(cfg Config) (server.Listeners, error) {
	var at server.Listeners
	var err error
	if at.RPC, err = net.Listen("tcp", cfg.Listen); err != nil {
		return server.Listeners{}, err
	}
	if cfg.HTTP != "" {
		if at.HTTP, err = net.Listen("tcp", cfg.HTTP); err != nil {
			closeListeners(at)
			return server.Listeners{}, err
		}
	}
	return at, nil
}

// closeListeners undoes listen; nobody has used them.
func closeListeners(at server.Listeners) {
	at.RPC.Close() //nolint:errcheck // nothing is lost
	if at.HTTP != nil {
		at.HTTP.Close() //nolint:errcheck // nothing is lost
	}
}

func addresses(at server.Listeners) Addresses {
	a := Addresses{RPC: at.RPC.Addr().String()}
	if at.HTTP != nil {
		a.HTTP = at.HTTP.Addr().String()
	}
	return a
}

// advertised returns the address that clients are told.
func advertised(cfg Config, bound net.Addr) (string, error) {
	if cfg.Advertise != "" {
		return cfg.Advertise, nil
	}
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "", fmt.Errorf("listening address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return bound.String(), nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host's name, to advertise it: %w; use --advertise", err)
	}
	return net.JoinHostPort(name, port), nil
}

func firstOf(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
