package partition

import (
	"container/list"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/talos-log/talos/talos"
)

const (
	// droppedShare is the part of a tail, in bytes, that its arrays may still refer to
	// although it left: with more they are copied.
	droppedShare = 8
	// DefaultTailBytes is the budget of a node's tails.
	DefaultTailBytes = 256 << 20
	// groupOverhead is what a group costs in memory beyond its batches, about.
	groupOverhead = 256
)

// Tails bounds the newest batches that all partitions of a node keep in memory
// together, for readers at the tail. When the sum is above the budget, the group
// that has been there longest goes, whosever it is: so a partition that is
// written to pushes out what idle ones hold, and none needs a share of its own.
// It may be used by many logs at once.
type Tails struct {
	limit int64

	mu    sync.Mutex // guards the fields below, and all changes of tails
	bytes int64
	// order is the groups of all tails, as *held, oldest first.
	order list.List
}

// NewTails makes a budget of this many bytes; 0 means DefaultTailBytes.
func NewTails(bytes int64) *Tails {
	if bytes <= 0 {
		bytes = DefaultTailBytes
	}
	return &Tails{limit: bytes}
}

// Bytes is what the tails hold now.
func (t *Tails) Bytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// group is the batches of one append.
type group struct {
	base, next talos.Offset
	payload    []byte
}

func (g group) cost() int64 { return int64(len(g.payload)) + groupOverhead }

// held is a group in the order of all.
type held struct {
	in   *tail
	cost int64
}

// tail is the newest groups of one partition, without gaps. The log's owner adds
// to it; anybody's adding may take its oldest group away; readers see an
// immutable picture.
type tail struct {
	budget *Tails
	// groups is never changed below its length; a longer or shorter one replaces it.
	groups atomic.Pointer[[]group]

	// The fields below are guarded by budget.mu.

	// held are the places of the groups in the budget's order.
	held []*list.Element
	// kept is the cost of the groups, dropped that of those that left since the slices
	// were last copied.
	kept, dropped int64
}

func newTail(budget *Tails) *tail {
	t := &tail{budget: budget}
	t.groups.Store(new([]group))
	return t
}

// add makes g, which follows what is there, the newest group.
func (t *tail) add(g group) {
	b := t.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	next := append(*t.groups.Load(), g)
	t.groups.Store(&next)
	t.held = append(t.held, b.order.PushBack(&held{in: t, cost: g.cost()}))
	b.bytes += g.cost()
	t.kept += g.cost()
	for b.bytes > b.limit {
		oldest, _ := b.order.Front().Value.(*held) // nothing else is in it
		oldest.in.dropLocked()
	}
}

// dropLocked lets go of the oldest group.
func (t *tail) dropLocked() {
	groups := (*t.groups.Load())[1:]
	t.dropped += t.releaseLocked(t.held[0])
	t.held[0] = nil
	t.held = t.held[1:]
	if t.dropped*droppedShare > t.kept {
		// Lets go of the memory that the old arrays still refer to.
		groups, t.held, t.dropped = append([]group(nil), groups...), append([]*list.Element(nil), t.held...), 0
	}
	t.groups.Store(&groups)
}

func (t *tail) releaseLocked(e *list.Element) (cost int64) {
	h, _ := t.budget.order.Remove(e).(*held)
	t.budget.bytes -= h.cost
	t.kept -= h.cost
	return h.cost
}

// clear lets go of everything.
func (t *tail) clear() {
	t.budget.mu.Lock()
	defer t.budget.mu.Unlock()
	for _, e := range t.held {
		t.releaseLocked(e)
	}
	t.held, t.dropped = nil, 0
	t.groups.Store(new([]group))
}

// from returns the groups below end from the one on that holds offset; false if
// that one is not there.
func (t *tail) from(offset, end talos.Offset) ([]group, bool) {
	groups := *t.groups.Load()
	if len(groups) == 0 || offset < groups[0].base {
		return nil, false
	}
	for len(groups) > 0 && groups[len(groups)-1].base >= end {
		groups = groups[:len(groups)-1]
	}
	first := sort.Search(len(groups), func(i int) bool { return groups[i].next > offset })
	return groups[first:], first < len(groups)
}
