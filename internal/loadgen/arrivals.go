package loadgen

import (
	"sync"
	"time"
)

// arrivals counts the records of a leg that consumers received, and tells when
// all have come. Its methods may be called by several goroutines.
type arrivals struct {
	complete chan struct{} // closed then

	mu       sync.Mutex // guards the fields below
	received int64
	wanted   int64 // negative: not known yet
	last     time.Time
	err      error // the first
}

func newArrivals() *arrivals {
	return &arrivals{complete: make(chan struct{}), wanted: -1}
}

// add counts n records that arrived at a time.
func (a *arrivals) add(n int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.doneLocked()
	a.received += n
	if n > 0 && at.After(a.last) {
		a.last = at
	}
	a.endLocked(before)
}

// expect says how many there are in all.
func (a *arrivals) expect(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.doneLocked()
	a.wanted = n
	a.endLocked(before)
}

// fail ends the waiting: a consumer can't go on.
func (a *arrivals) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.doneLocked()
	if a.err == nil {
		a.err = err
	}
	a.endLocked(before)
}

func (a *arrivals) doneLocked() bool {
	return a.err != nil || a.wanted >= 0 && a.received >= a.wanted
}

func (a *arrivals) endLocked(before bool) {
	if !before && a.doneLocked() {
		close(a.complete)
	}
}

// count is how many have come, when the last one did, and the first error.
func (a *arrivals) count() (received int64, last time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.received, a.last, a.err
}
