package server

import (
	"context"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/groups/journal"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// groupCoordinator keeps the groups of one partition of the internal topic, while
// its log is open here.
type groupCoordinator struct {
	id  talos.PartitionID
	log *partition.Log
	// loaded is closed when loading is over; the fields of this part are written before.
	loaded  chan struct{}
	journal *journal.Journal[*groups.State]
	err     error
	// failedAt is when loading failed.
	failedAt time.Time

	// changed has room for one signal: topics have changed.
	changed chan struct{}
	proof   proof
	waiters waiters

	metrics *serverMetrics
	// counts are as of the last change of the members.
	counts atomic.Pointer[groups.Counts]
}

// groupPartition returns which coordinator a group has, of n: FNV-1a of 32 bits of its
// name, modulo n.
func groupPartition(name string, n int32) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it never fails
	return int32(h.Sum32() % uint32(n))
}

// over tells whether the coordinator has ended, and another one may be tried.
func (c *groupCoordinator) over() bool {
	select {
	case <-c.loaded:
	default:
		return false
	}
	if c.err != nil {
		return time.Since(c.failedAt) > minOpenBackoff
	}
	select {
	case <-c.journal.Done():
		return true
	default:
		return false
	}
}

// load makes the coordinator ready, or fails.
func (c *groupCoordinator) load(ctx context.Context, node *Node, state *groups.State, workers *sync.WaitGroup) {
	defer close(c.loaded)
	c.err = node.guard("load consumer groups", func() (err error) {
		c.journal, err = journal.Open(ctx, journalLog{c.log}, state, journal.Options{
			After: func() { c.after(state) },
		}, workers)
		return err
	})
	c.failedAt = time.Now()
	if c.err == nil {
		c.metrics.groupLoads.Inc()
	}
}

// after follows each turn of the journal.
func (c *groupCoordinator) after(state *groups.State) {
	rebalances, commits := state.Happened()
	c.metrics.rebalances.Add(float64(rebalances))
	c.metrics.commits.Add(float64(commits))
	if changed := state.Changed(); len(changed) > 0 || c.counts.Load() == nil {
		counts := state.Counts()
		c.counts.Store(&counts)
		c.waiters.wake(changed)
	}
}

// journalLog is a partition's log as a journal sees it.
type journalLog struct{ *partition.Log }

// Append implements journal.Log. It waits without a context: only the log knows
// whether a batch can still become durable.
func (l journalLog) Append(b []byte) error {
	done := make(chan error, 1)
	l.Log.Append(b, func(_ partition.Appended, err error) { done <- err })
	return <-done
}

// proof is when it was last certain that no later coordinator had been there.
type proof struct {
	turn chan struct{} // has the token of who asks

	mu sync.Mutex // guards at
	at time.Time
}

func newProof() proof { return proof{turn: make(chan struct{}, 1)} }

// need returns nil if there was no later coordinator at a moment after since. All
// that wait are answered by one question.
func (p *proof) need(ctx context.Context, log *partition.Log, since time.Time) error {
	if p.after(since) {
		return nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.after(since) {
		return nil
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	if err := log.Confirm(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = asked
	return nil
}

func (p *proof) after(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.at.Before(since)
}

// waiters are heartbeats that wait for something new. There is one channel for each
// member at the most.
type waiters struct {
	mu  sync.Mutex // guards all
	all map[groups.MemberKey]chan struct{}
}

// wait returns what is closed at the member's next change.
func (w *waiters) wait(key groups.MemberKey) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.all[key]
	if !ok {
		c = make(chan struct{})
		w.all[key] = c
	}
	return c
}

func (w *waiters) wake(keys []groups.MemberKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		if c, ok := w.all[key]; ok {
			close(c)
			delete(w.all, key)
		}
	}
}
