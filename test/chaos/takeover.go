package chaos

import (
	"context"
	"time"

	"github.com/talos-log/talos/test/history"
)

// Takeover kills a node that owns something, under load, and returns how many
// partitions it owned, and how long it took until each of them had acknowledged a
// record that was sent after the kill. The node comes back afterwards.
func (w *World) Takeover() (partitions int, took time.Duration) {
	w.T.Helper()
	since := w.History.Now()
	w.AwaitServed(since)
	m, owned := w.busiest()
	since = w.History.Now()
	m.Kill()
	begun := time.Now()
	w.await("the partitions of a node that was killed are not served", func(context.Context) bool {
		return w.servedAll(owned, since)
	})
	took = time.Since(begun)
	m.launch()
	w.awaitUp(m)
	return len(owned), took
}

func (w *World) servedAll(partitions []int32, since history.Tick) bool {
	counts := w.History.AckedIn(since)
	for _, p := range partitions {
		if counts[p] == 0 {
			return false
		}
	}
	return true
}
