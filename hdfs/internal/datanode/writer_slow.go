package datanode

import (
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// slowWindow is the time over which it is measured how long appends wait for one
	// DataNode alone. From one in slowShare of it on, that one is slow, if some append
	// waited for slowWait: that one disk is not as fast as another one is no fault.
	slowWindow = 2 * time.Second
	slowShare  = 2
	slowWait   = 100 * time.Millisecond
)

// patience measures how long appends wait for a DataNode after another one has
// acknowledged them. Time counts, and not appends: of a DataNode that stops for a
// moment over and over, nearly all appends are quick.
type patience struct {
	since   time.Time // the window's begin
	counted time.Time // up to when time is counted already
	legs    map[*leg]wait
}

// wait is how long appends waited for one DataNode.
type wait struct{ all, longest time.Duration }

// waited notes that appends, of which the first was acknowledged by some DataNode at
// led, waited for this one until now. Appends in flight together wait together.
func (p *patience) waited(l *leg, led, now time.Time) {
	if led.Before(p.counted) {
		led = p.counted
	}
	if d := now.Sub(led); d > 0 {
		of := p.legs[l]
		p.legs[l] = wait{all: of.all + d, longest: max(of.longest, d)}
	}
	p.counted = now
}

// slow returns the DataNode that is, if one is, and how much of the window appends
// waited for it. Once the window is over another one begins.
func (p *patience) slow(now time.Time) (node *wire.DatanodeInfo, waited time.Duration) {
	window := now.Sub(p.since)
	if window < slowWindow {
		return nil, 0
	}
	for l, of := range p.legs {
		if of.all > waited && of.all >= window/slowShare && of.longest >= slowWait {
			node, waited = l.node, of.all
		}
	}
	p.since = now
	clear(p.legs)
	return node, waited
}

// tellSlow tells of a DataNode that is slow.
func (w *Writer) tellSlow() {
	w.mu.Lock()
	node, waited := w.slow(time.Now())
	over := w.err != nil
	w.mu.Unlock()
	if node != nil && !over && w.config.OnSlow != nil {
		w.config.OnSlow(node, waited)
	}
}
