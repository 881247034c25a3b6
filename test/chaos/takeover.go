package chaos

import (
	"context"
	"time"
)

// Takeover kills a node that owns something, under load, and returns how many
// partitions it owned, and how long it took until each of them was answered for by
// a new owner. The node comes back afterwards.
func (w *World) Takeover() (partitions int, took time.Duration) {
	w.T.Helper()
	w.AwaitServed(w.History.Now())
	m, owned := w.busiest()
	marks := w.mark(owned)
	m.Kill()
	w.await("the partitions of a node that was killed are not served", func(context.Context) bool {
		return marks.raised() == len(owned)
	})
	took = time.Since(marks.begun)
	since := w.History.Now()
	m.launch()
	w.awaitUp(m)
	w.AwaitServed(since)
	return len(owned), took
}
