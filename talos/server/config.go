package server

import (
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
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
	// Logger takes the node's log; nil means none.
	Logger *slog.Logger
	// Registerer takes the node's metrics until Run returns; nil means none.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows; nil means no such page.
	Gatherer prometheus.Gatherer
}

func (c *Config) ensureDefaults() {
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
	if len(faults) == 0 {
		return nil
	}
	return &talos.Error{Kind: talos.InvalidConfig, Op: "server.New", Cause: errors.Join(faults...)}
}
