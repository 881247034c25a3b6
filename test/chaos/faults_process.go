package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// processFaults are what happens to a node as a process.
func processFaults() []Fault {
	return []Fault{
		{Name: "kill", begin: kill},
		{Name: "kill-in-append", begin: killInAppend},
		{Name: "pause", can: onNetwork, begin: pause},
		{Name: "pause-local", can: func(w *World) bool { return !onNetwork(w) }, begin: pauseOnLocal},
		{Name: "late-writes", can: func(w *World) bool { return w.store.server != nil }, begin: lateWrites},
		{Name: "short-pause", begin: shortPause},
		{Name: "restart", begin: restart},
	}
}

// kill ends a node with SIGKILL. It comes back when others have its partitions, or
// at once, and then takes them again.
func kill(w *World) happening { return killed(w, func(*member) {}) }

// killInAppend is kill while an append is in flight, on a store that is slow enough
// to catch that.
func killInAppend(w *World) happening {
	return killed(w, func(m *member) { w.pauseInAppend(m) })
}

func killed(w *World, before func(*member)) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	before(m)
	m.Kill()
	late := w.rng.IntN(2) == 0
	if !late {
		m.launch()
	}
	return happening{
		felt: func() string { return said(m.id+" was killed", marks.awaitRaised()) },
		heal: func() {
			if late {
				m.launch()
			}
			w.awaitUp(m)
		},
	}
}

// said puts together what was done and how it was seen; empty if it was not.
func said(done, seen string) string {
	if seen == "" {
		return ""
	}
	return done + ", " + seen
}

// pauseInAppend stops a node, while it has an append in flight if it can be caught.
func (w *World) pauseInAppend(m *member) {
	w.T.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if !w.Scene.Appending(m.gauge) {
			continue // without a pause: appends are short
		}
		m.Pause()
		if w.Scene.Appending(m.gauge) {
			return
		}
		m.Resume()
	}
	m.Pause()
}

// pause stops a node for longer than its lease, and lets it go on when others
// have its partitions: whatever it still had under way must come to nothing.
func pause(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	w.pauseInAppend(m)
	inFlight := ""
	if w.Scene.Appending(m.gauge) {
		inFlight = " with an append in flight"
	}
	return happening{
		felt: func() string { return said(m.id+" stood still"+inFlight, marks.awaitRaised()) },
		heal: m.Resume,
	}
}

// lateWrites is pause where what the node wrote arrives only after others have its
// partitions, and what became of it waits for the node when it goes on: the store
// must have refused it.
func lateWrites(w *World) happening {
	m, partitions := w.busiest()
	marks, before := w.mark(partitions), feltSum(m.store)
	m.store.Hole()
	w.happens(func(context.Context) bool {
		held := feltSum(m.store).Held > before.Held && w.Scene.Appending(m.gauge)
		return held || marks.raised() == len(partitions) // nothing was open, and it has given all back
	})
	m.Pause()
	return happening{
		felt: func() string {
			seen := marks.awaitRaised()
			held := feltSum(m.store).Held - before.Held
			m.store.Heal()
			w.pass(w.Config.Lease / 4) // the store answers
			return said(fmt.Sprintf("%s stood still with %d writes on their way", m.id, held), seen)
		},
		heal: func() {
			m.store.Heal()
			m.Resume()
		},
	}
}

// pauseOnLocal is pause where the store's lock can't be taken from a process that
// lives: whoever wants the partitions names it.
func pauseOnLocal(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	w.pauseInAppend(m)
	holder := fmt.Sprintf("process %d has ", m.PID())
	named := func(context.Context) bool {
		for _, other := range w.nodes {
			if other != m && strings.Contains(other.Words(), holder) {
				return true
			}
		}
		return marks.raised() == len(partitions) // nothing was open
	}
	return happening{
		felt: func() string {
			if !w.happens(named) {
				return ""
			}
			return fmt.Sprintf("%s stood still, and others were told that process %d holds the segments", m.id, m.PID())
		},
		heal: m.Resume,
	}
}

// shortPause stops a node for less than its lease: nobody takes anything over.
func shortPause(w *World) happening {
	m, _ := w.busiest()
	w.pauseInAppend(m)
	before, begun := w.History.Acks(), time.Now()
	w.pass(w.between(w.Config.Lease/10, w.Config.Lease/2))
	return happening{
		felt: func() string {
			return fmt.Sprintf("%s stood still for %v, %d acknowledgements meanwhile",
				m.id, time.Since(begun).Round(time.Millisecond), w.History.Acks()-before)
		},
		heal: m.Resume,
	}
}

// restart ends a node as an operator does, and starts it again.
func restart(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	m.Stop()
	m.launch()
	return happening{
		felt: func() string { return said(m.id+" ended on SIGTERM", marks.awaitRaised()) },
		heal: func() { w.awaitUp(m) },
	}
}
