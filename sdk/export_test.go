package sdk

import "github.com/talos-log/talos/talos"

// WithProtocols makes a client pretend to speak other protocols than it does.
func WithProtocols(p talos.Protocols) Option { return func(c *clientConfig) { c.protocols = p } }
