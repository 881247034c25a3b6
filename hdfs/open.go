package hdfs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// openSegments are the segments that a store has open for writing. It asks for one
// to be sealed (see storage.Appender.Roll) when more are open than the budget
// says: the one that was appended to longest ago.
type openSegments struct {
	budget         int
	open, degraded prometheus.Gauge

	mu  sync.Mutex // guards all, and the fields of its tickets that say so
	all map[*ticket]struct{}
}

// ticket is what one open segment holds.
type ticket struct {
	roll chan struct{}
	// used is when it was appended to last, in nanoseconds since 1970.
	used atomic.Int64
	// degraded: it has fewer replicas than wanted. asked: roll is closed. Both are
	// guarded by openSegments.mu.
	degraded, asked bool
}

func (t *ticket) use() { t.used.Store(time.Now().UnixNano()) }

func newOpenSegments(budget int, m *metrics) *openSegments {
	return &openSegments{budget: budget, open: m.open, degraded: m.degraded, all: map[*ticket]struct{}{}}
}

// enter adds a segment, and asks for another one to be sealed if it is too many. The
// one that it follows counts until it is sealed.
func (o *openSegments) enter(degraded bool) *ticket {
	t := &ticket{roll: make(chan struct{}), degraded: degraded}
	t.use()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[t] = struct{}{}
	o.count()
	over := len(o.all) - o.budget
	var oldest *ticket
	for other := range o.all {
		switch {
		case over <= 0:
			return t
		case other.asked:
			over--
		case other != t && (oldest == nil || other.used.Load() < oldest.used.Load()):
			oldest = other
		}
	}
	if over > 0 && oldest != nil {
		oldest.ask()
	}
	return t
}

// leave forgets a segment.
func (o *openSegments) leave(t *ticket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, t)
	o.count()
}

// rollDegraded asks for all segments with too few replicas to be sealed, and
// returns how many that are.
func (o *openSegments) rollDegraded() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := range o.all {
		if t.degraded && !t.asked {
			t.ask()
			n++
		}
	}
	return n
}

// rollOne asks for a segment to be sealed, unless that was asked before.
func (o *openSegments) rollOne(t *ticket) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, open := o.all[t]; !open || t.asked {
		return false
	}
	t.ask()
	return true
}

// anyDegraded tells whether there is a segment with too few replicas that was not
// asked for yet.
func (o *openSegments) anyDegraded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := range o.all {
		if t.degraded && !t.asked {
			return true
		}
	}
	return false
}

// ask and count run with mu held.
func (t *ticket) ask() {
	t.asked = true
	close(t.roll)
}

func (o *openSegments) count() {
	degraded := 0
	for t := range o.all {
		if t.degraded {
			degraded++
		}
	}
	o.open.Set(float64(len(o.all)))
	o.degraded.Set(float64(degraded))
}
