package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
)

// Fault is something that can happen to a world.
type Fault struct {
	// Name is how a table and a seed's choice call it.
	Name string
	// can tells whether it can happen to this world at all; nil means that it can.
	can func(w *World) bool
	// within: it can happen, for a moment, in the middle of any other one.
	within bool
	// begin makes it happen.
	begin func(w *World) happening
}

// happening is a fault that has begun.
type happening struct {
	// felt waits until the fault has visibly taken effect, and says how that was
	// seen; empty if it was not.
	felt func() string
	// heal ends the fault.
	heal func()
}

// Faults are all that there are.
func Faults() []Fault {
	return slices.Concat(processFaults(), linkFaults(), etcdFaults(), storeFaults(), operatorFaults())
}

// Possible returns those that can happen to a world.
func Possible(w *World, of []Fault) []Fault {
	return slices.DeleteFunc(slices.Clone(of), func(f Fault) bool { return f.can != nil && !f.can(w) })
}

// onNetwork tells whether nodes go to the store through links.
func onNetwork(w *World) bool { return w.store.address != "" }

// marks are the epochs at one moment, to see whether owners have changed since.
type marks struct {
	w          *World
	partitions []int32
	epochs     map[int32]talos.Epoch
	begun      time.Time
}

// mark notes the epochs of partitions before a fault.
func (w *World) mark(partitions []int32) marks {
	return marks{w: w, partitions: partitions, epochs: w.epochs(), begun: time.Now()}
}

// epochs are the newest that anybody has heard of.
func (w *World) epochs() map[int32]talos.Epoch {
	newest := w.History.Epochs()
	for p, e := range w.observer.Epochs() {
		newest[p] = max(newest[p], e)
	}
	return newest
}

// raised returns how many of the partitions have been answered for under an epoch
// that is newer.
func (m marks) raised() int {
	n := 0
	now := m.w.epochs()
	for _, p := range m.partitions {
		if now[p] > m.epochs[p] {
			n++
		}
	}
	return n
}

// awaitRaised waits until all partitions have new owners, or the old ones anew,
// and says so; empty if that did not happen.
func (m marks) awaitRaised() string {
	all := m.w.happens(func(context.Context) bool { return m.raised() == len(m.partitions) })
	if !all || len(m.partitions) == 0 {
		return ""
	}
	return fmt.Sprintf("%d partitions answered under new epochs %v later", len(m.partitions), time.Since(m.begun).Round(10*time.Millisecond))
}
