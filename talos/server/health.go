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
	// they are there.
	probeInterval = 2 * time.Second
	// faultMemory is how long a failure counts that nothing has contradicted.
	faultMemory = 15 * time.Second
	// probeFolder does not exist, so that listing it is cheap.
	probeFolder = "probe"
	// silenceLimit is how long the logs may answer no append at all, while some wait,
	// before that counts as the store's failure: a store that repeats what fails says
	// nothing for longer.
	silenceLimit = 10 * time.Second
	// unfitTimeout bounds the attempt to tell the cluster.
	unfitTimeout = 5 * time.Second
)

// faults is the last known state of what the node depends on. It learns from
// the node's own work and from a probe.
type faults struct {
	store storage.Store
	meta  *coordinator.Meta
	// grace is how long the store may be away before the node says that it is unfit.
	grace time.Duration

	// storeFault and metaFault are the last failures that nothing contradicted
	// yet; nil for none.
	storeFault, metaFault atomic.Pointer[fault]
	// unfit tells that the cluster was told so, and unheard that it may not have heard
	// what was said last. They belong to watch.
	unfit, unheard bool
	// waiting are the appends without an answer; silent is when the last one had its
	// answer, or the first one came, in nanoseconds since 1970.
	waiting, silent atomic.Int64
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
	case talos.StoreUnavailable, talos.TooFewReplicas:
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

// began learns that an append waits for its answer, and answered that it has one.
func (f *faults) began(now time.Time) {
	if f.waiting.Load() == 0 {
		f.silent.Store(now.UnixNano()) // first, so that no silence of before counts
	}
	f.waiting.Add(1)
}

func (f *faults) answered() {
	f.silent.Store(time.Now().UnixNano())
	f.waiting.Add(-1)
}

// stalled returns an error if appends wait and none has been answered for long.
func (f *faults) stalled() error {
	waiting := f.waiting.Load()
	silence := time.Since(time.Unix(0, f.silent.Load()))
	if waiting == 0 || silence < silenceLimit {
		return nil
	}
	return &talos.Error{
		Kind: talos.StoreUnavailable, Op: "server.probe",
		Detail: fmt.Sprintf("no append has been answered for %v, %d wait", silence.Round(time.Second), waiting),
	}
}

// check returns why the node can't do its work, as far as is known.
func (f *faults) check() error {
	return errors.Join(f.storeFault.Load().current(), f.metaFault.Load().current())
}

// watch probes until ctx ends, and tells the cluster if the store stays away.
func (f *faults) watch(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	var since time.Time // the store has been away; zero if it is not
	for {
		f.probe(ctx)
		away := f.storeFault.Load().current()
		switch {
		case away == nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		f.tell(ctx, away, since)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell says in the registration whether the node can work, if that has changed, or
// may not have been heard.
func (f *faults) tell(ctx context.Context, away error, since time.Time) {
	unfit := away != nil && time.Since(since) >= f.grace
	if unfit == f.unfit && !f.unheard {
		return
	}
	reason := ""
	if unfit {
		reason = clip(fmt.Sprintf("the store has been away for %v: %v", time.Since(since).Round(time.Second), away))
	}
	ctx, cancel := context.WithTimeout(ctx, unfitTimeout)
	defer cancel()
	err := f.meta.SetUnfit(ctx, reason)
	if f.unheard = err != nil; f.unheard {
		f.observe(err)
		return // the next probe tries again
	}
	f.unfit = unfit
}

func (f *faults) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, faultMemory/2)
	defer cancel()
	if err := f.meta.Ping(ctx); err != nil {
		f.metaFault.Store(&fault{err, time.Now()})
	} else {
		f.metaFault.Store(nil)
	}
	f.observe(f.stalled())
	// A listing that succeeds proves too little to contradict a failed append.
	if _, err := f.store.List(ctx, probeFolder); err != nil {
		f.observe(&talos.Error{Kind: talos.StoreUnavailable, Op: "server.probe", Cause: fmt.Errorf("list: %w", err)})
	}
}
