package fake

import (
	"log/slog"

	"github.com/talos-log/talos/talos"
)

// maxNodes bounds the nodes of one cluster.
const maxNodes = 16

// Option configures a Cluster.
type Option func(*config)

type config struct {
	nodes     int
	inMemory  bool
	logger    *slog.Logger
	limits    talos.Limits
	protocols talos.Protocols
}

// Nodes sets how many nodes there are: 1 by default, at most 16. One of them owns
// the partitions at a time; the others wait, and name it.
func Nodes(n int) Option { return func(c *config) { c.nodes = n } }

// WithoutNetwork connects clients and nodes through memory instead of ports on
// loopback: for tests in virtual time (testing/synctest). Only the clients of
// Client and Dial reach the nodes then.
func WithoutNetwork() Option { return func(c *config) { c.inMemory = true } }

// WithLogger sets where the nodes log; by default nowhere.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// RecordBytes sets the nodes' record limit in bytes; talos.DefaultRecordBytes by
// default.
func RecordBytes(n int) Option { return func(c *config) { c.limits.RecordBytes = n } }

// Protocols makes the nodes pretend to speak other protocols than they do, for
// tests of an application that must tell its users about Incompatible.
func Protocols(p talos.Protocols) Option { return func(c *config) { c.protocols = p } }
