//go:build failpoints

package node

import "github.com/talos-log/talos/test/failpoint"

// instrument lets the process kill itself where the environment says, and count
// its appends.
func (p *Parts) instrument() (err error) {
	p.store, p.kv, err = failpoint.Instrument(p.store, p.kv)
	return err
}
