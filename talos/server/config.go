package server

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/access"
	"google.golang.org/grpc"
)

// Config says what a node is made of.
type Config struct {
	// NodeID is unique in the cluster, and the one that Meta was opened with.
	NodeID string
	// Address is host:port under which clients reach the node's RPC port, and the
	// one that Meta was opened with.
	Address string
	// Version is the build's, for Admin.Version.
	Version string
	// Store keeps segments and manifests; the caller closes it after Run.
	Store storage.Store
	// Meta is the coordinator; the caller closes it after Run.
	Meta *coordinator.Meta
	// Limits; the zero value means talos.DefaultLimits.
	Limits talos.Limits
	// Protocols is what the node says it speaks; the zero value means
	// talos.OwnProtocols. Tests of compatibility set another.
	Protocols talos.Protocols
	// Capacity; the zero value means DefaultCapacity.
	Capacity Capacity
	// Groups bounds consumer groups; its zero values mean its defaults.
	Groups groups.Config
	// GroupPartitions is how many coordinators of groups the cluster has, if this is
	// the node that makes the first group; 0 means DefaultGroupPartitions.
	GroupPartitions int32
	// Drain is how long the node takes to end: to hand its partitions over, and to
	// answer the calls under way; 0 means DefaultDrain.
	Drain time.Duration
	// StoreGrace is how long the store may be away before the node tells the cluster
	// that it can't work; 0 means DefaultStoreGrace.
	StoreGrace time.Duration
	// TLS serves both ports with it; nil means that everybody on the way can read
	// and change everything.
	TLS *tls.Config
	// Access guards the RPC port, and the HTTP port but for /healthz and /readyz;
	// nil lets everybody in.
	Access *access.Guard
	// Peers says how other nodes are called, for metrics: credentials above all. Empty
	// means that they are not, and that what they own is unknown to metrics.
	Peers []grpc.DialOption
	// TailBytes bounds the newest batches that all partitions keep in memory
	// together, in bytes; 0 means partition.DefaultTailBytes.
	TailBytes int64
	// HistoryBytes bounds what all partitions keep in memory of their segments for
	// readers that catch up; 0 means partition.DefaultHistoryBytes.
	HistoryBytes int64
	// Logger takes the node's log; nil means none.
	Logger *slog.Logger
	// Registerer takes the node's metrics until Run returns; nil means none.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows; nil means no such page.
	Gatherer prometheus.Gatherer
}

// DefaultDrain is Config.Drain unless it is set.
const DefaultDrain = 30 * time.Second

// DefaultStoreGrace is Config.StoreGrace unless it is set.
const DefaultStoreGrace = 20 * time.Second

// DefaultGroupPartitions is Config.GroupPartitions unless it is set.
const DefaultGroupPartitions = 16

func (c *Config) ensureDefaults() {
	if c.GroupPartitions == 0 {
		c.GroupPartitions = DefaultGroupPartitions
	}
	if c.StoreGrace == 0 {
		c.StoreGrace = DefaultStoreGrace
	}
	if c.Capacity == (Capacity{}) {
		c.Capacity = DefaultCapacity()
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.Limits == (talos.Limits{}) {
		c.Limits = talos.DefaultLimits()
	}
	if c.Protocols == (talos.Protocols{}) {
		c.Protocols = talos.OwnProtocols
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// validate returns an error of kind InvalidConfig that names every fault.
func (c *Config) validate() error {
	var faults []error
	need := func(ok bool, what string) {
		if !ok {
			faults = append(faults, errors.New(what))
		}
	}
	need(c.NodeID != "", "the node's id is missing")
	need(c.Address != "", "the advertised address is missing")
	need(c.Store != nil, "the store is missing")
	need(c.Meta != nil, "the coordinator is missing")
	need(c.Limits.RecordBytes > 0, "the record limit must be positive")
	need(c.Protocols.Valid(), "the protocols are no range")
	need(c.GroupPartitions > 0 && c.GroupPartitions <= talos.MaxPartitions, "the number of group coordinators can't be used")
	need(c.Drain > 0, "the time to drain must be positive")
	faults = append(faults, c.Capacity.faults()...)
	if len(faults) == 0 {
		return nil
	}
	return &talos.Error{Kind: talos.InvalidConfig, Op: "server.New", Cause: errors.Join(faults...)}
}
