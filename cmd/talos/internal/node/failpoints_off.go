//go:build !failpoints

package node

// instrument is where the build for crash tests comes between a node and its
// parts.
func (p *Parts) instrument() error { return nil }
