package datanode

import (
	"fmt"
	"time"
)

// looks is how often within Laggard the watch looks at the DataNodes.
const looks = 8

// watch finds DataNodes that don't keep up, and sends heartbeats. It is the only
// timer of a writer; nothing is set per append.
func (w *Writer) watch() {
	tick := w.config.Laggard / looks
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for suspected := false; ; {
		select {
		case <-timer.C:
		case <-w.rouse:
		case <-w.dead:
			return
		}
		var pause time.Duration
		pause, suspected = w.look(tick, suspected)
		w.tellSlow()
		timer.Reset(pause)
	}
}

// look returns when to look again. A DataNode must be late in two looks in a row:
// if this process was stopped itself, its acknowledgements only wait to be read.
func (w *Writer) look(tick time.Duration, suspected bool) (pause time.Duration, late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return tick, false
	}
	now := time.Now()
	if legs, reason := w.late(now); len(legs) > 0 {
		if suspected {
			w.failLocked(&NodeError{legs[0].node, fmt.Errorf("%w: %s", ErrLaggard, reason)}, legs...)
		}
		return tick, true
	}
	for _, l := range w.legs {
		if l.owes() || !l.over.IsZero() {
			return tick, false
		}
	}
	if w.ending {
		return tick, false
	}
	pause = w.touched.Add(w.config.Heartbeat).Sub(now)
	if pause <= 0 {
		w.enqueue(heartbeat())
		return tick, false
	}
	w.resting = true
	return pause, false
}

// late returns the DataNodes that are, and why. It runs with mu held.
func (w *Writer) late(now time.Time) (legs []*leg, reason string) {
	limit := w.config.Laggard
	if w.led > w.settled {
		if first := w.pending.at(w.settled); now.Sub(first.since) > limit {
			for _, l := range w.legs {
				if l.confirmed() < first.last {
					legs = append(legs, l)
				}
			}
			return legs, fmt.Sprintf("another DataNode acknowledged %v ago what it has not", now.Sub(first.since).Round(time.Millisecond))
		}
	}
	for _, l := range w.legs {
		if !l.over.IsZero() && now.Sub(l.over) > limit {
			legs = append(legs, l)
		}
	}
	if len(legs) > 0 {
		return legs, fmt.Sprintf("more than %d bytes wait for it since %v", w.config.QueueBytes, limit)
	}
	for _, l := range w.legs {
		if l.owes() && now.Sub(l.since) > w.config.Silence {
			legs = append(legs, l)
		}
	}
	return legs, fmt.Sprintf("it acknowledged nothing for %v", w.config.Silence)
}
