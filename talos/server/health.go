package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

const (
	// probeInterval is how often the store and the coordinator are asked whether
	// they are there, and who the active node is.
	probeInterval = 2 * time.Second
	// faultMemory is how long a failure counts that nothing has contradicted.
	faultMemory = 15 * time.Second
	// probeFolder does not exist, so that listing it is cheap.
	probeFolder = "probe"
)

// faults is the last known state of what the node depends on. It learns from
// the node's own work and from a probe.
type faults struct {
	store storage.Store
	meta  *coordinator.Meta

	// storeFault and metaFault are the last failures that nothing contradicted
	// yet; nil for none.
	storeFault, metaFault atomic.Pointer[fault]
	// active is the node that held the claim when last asked; nil for none.
	active atomic.Pointer[coordinator.Node]
}

type fault struct {
	err error
	at  time.Time
}

func (o *fault) current() error {
	if o == nil || time.Since(o.at) > faultMemory {
		return nil
	}
	return o.err
}

// observe learns from the outcome of something that needed the store or the
// coordinator.
func (f *faults) observe(err error) {
	switch talos.KindOf(err) {
	case talos.StoreUnavailable:
		f.storeFault.Store(&fault{err, time.Now()})
	case talos.MetaUnavailable:
		f.metaFault.Store(&fault{err, time.Now()})
	}
}

// stored learns that the store has made something durable.
func (f *faults) stored() {
	if f.storeFault.Load() != nil {
		f.storeFault.Store(nil)
	}
}

// check returns why the node can't do its work, as far as is known.
func (f *faults) check() error {
	return errors.Join(f.storeFault.Load().current(), f.metaFault.Load().current())
}

// owner returns the active node; false if none is known.
func (f *faults) owner() (coordinator.Node, bool) {
	if node := f.active.Load(); node != nil {
		return *node, true
	}
	return coordinator.Node{}, false
}

// watch probes until ctx ends.
func (f *faults) watch(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		f.probe(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (f *faults) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, faultMemory/2)
	defer cancel()
	node, found, err := f.meta.Active(ctx)
	switch {
	case err != nil:
		f.metaFault.Store(&fault{err, time.Now()})
	case found:
		f.active.Store(&node)
		f.metaFault.Store(nil)
	default:
		f.active.Store(nil)
		f.metaFault.Store(nil)
	}
	// A listing that succeeds proves too little to contradict a failed append.
	if _, err := f.store.List(ctx, probeFolder); err != nil {
		f.observe(&talos.Error{Kind: talos.StoreUnavailable, Op: "server.probe", Cause: fmt.Errorf("list: %w", err)})
	}
}
