package coordinator_test

import (
	"context"
	"sync"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

type fault int

const (
	// unavailable fails a call that was not carried out.
	unavailable fault = iota + 1
	// lostReply carries a commit out, and fails it all the same.
	lostReply
)

// flaky is a KV that fails when told to.
type flaky struct {
	coordinator.KV

	mu      sync.Mutex // guards the fields below
	loads   []fault
	commits []fault
	sent    int // commits that were tried
}

func (f *flaky) failNext(what fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.loads = append(f.loads, what)
	}
}

func (f *flaky) failCommits(what fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.commits = append(f.commits, what)
	}
}

// recover forgets the faults that did not come about.
func (f *flaky) recover() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads, f.commits = nil, nil
}

func (f *flaky) pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.loads) + len(f.commits)
}

func (f *flaky) commitsSent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

func (f *flaky) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	f.mu.Lock()
	what := pop(&f.loads)
	f.mu.Unlock()
	if what == unavailable {
		return nil, &talos.Error{Kind: talos.MetaUnavailable, Op: "flaky.Load"}
	}
	return f.KV.Load(ctx, keys...)
}

func (f *flaky) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	f.mu.Lock()
	what := pop(&f.commits)
	f.sent++
	f.mu.Unlock()
	failure := &talos.Error{Kind: talos.MetaUnavailable, Op: "flaky.Commit"}
	if what == unavailable {
		return 0, failure
	}
	revision, err := f.KV.Commit(ctx, conds, ops)
	if what == lostReply {
		return 0, failure
	}
	return revision, err
}

func pop(faults *[]fault) fault {
	if len(*faults) == 0 {
		return 0
	}
	first := (*faults)[0]
	*faults = (*faults)[1:]
	return first
}
