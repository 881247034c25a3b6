package datanode

import (
	"math"
	"time"
)

// cut makes packets of the appends that wait. A packet that asks for a sync is
// alone on its connections: it is sent when all before it are acknowledged, and
// nothing is cut until it is. Appends that come meanwhile share the next sync.
//
// For a DataNode whose client is gone learns that when it acknowledges a packet,
// and then interrupts whoever receives the next one. Within a sync that leaves a
// replica whose length no recovery believes until the DataNode is restarted.
//
// cut runs with mu held.
func (w *Writer) cut() {
	for w.uncut > 0 && w.syncing < 0 {
		from := w.pending.len() - w.uncut
		upto := from
		for ; upto < w.pending.len() && !w.pending.at(upto).sync; upto++ {
		}
		if upto == w.pending.len() {
			w.cutGroup(from, from+1, false)
		} else {
			w.cutGroup(from, w.pending.len(), true)
		}
	}
}

// cutGroup makes packets of some appends, as if they were one.
func (w *Writer) cutGroup(from, upto int, sync bool) {
	pieces := make([][]byte, 0, 4)
	end := w.offset
	for i := from; i < upto; i++ {
		one := w.pending.at(i)
		pieces = append(pieces, one.p)
		end += int64(len(one.p))
		one.end, one.p = end, nil
	}
	w.uncut -= upto - from
	p := w.next(&pieces, sync)
	for len(pieces) > 0 {
		w.enqueue(p)
		p = w.next(&pieces, sync)
	}
	for i := from; i < upto; i++ {
		w.pending.at(i).last = p.seqno
	}
	if !sync {
		w.enqueue(p)
		return
	}
	w.held, w.syncing = p, p.seqno
	w.settle(time.Now(), nil)
}

// beatless tells whether no heartbeat waits for its acknowledgement.
func (w *Writer) beatless() bool {
	for _, l := range w.legs {
		if l.beats > 0 {
			return false
		}
	}
	return true
}

// settle counts what all DataNodes have acknowledged by now, and notes what the
// first one has. by is the DataNode that has just acknowledged something, if one has. It
// runs with mu held; the caller delivers afterwards.
func (w *Writer) settle(now time.Time, by *leg) {
	if w.err != nil {
		return
	}
	all, some := int64(math.MaxInt64-1), int64(-1)
	for _, l := range w.legs {
		got := l.confirmed()
		all, some = min(all, got), max(some, got)
	}
	for ; w.led < w.pending.len() && w.pending.at(w.led).last <= some; w.led++ {
		w.pending.at(w.led).since = now
	}
	if w.settled < w.led && w.pending.at(w.settled).last <= all && by != nil {
		w.waited(by, w.pending.at(w.settled).since, now)
	}
	for ; w.settled < w.pending.len() && w.pending.at(w.settled).last <= all; w.settled++ {
		w.acknowledged = w.pending.at(w.settled).end
	}
	if w.held != nil && all >= w.held.seqno-1 && w.beatless() {
		w.enqueue(w.held)
		w.held = nil
	}
	if w.syncing >= 0 && all >= w.syncing {
		w.syncing = -1
		w.cut()
	}
}

// deliver calls the done functions whose outcome is known, unless another
// goroutine is at it: that one sees what the caller has changed. It is called with
// mu held and releases it for the calls.
func (w *Writer) deliver() {
	if w.delivering {
		return
	}
	w.delivering = true
	for w.pending.len() > 0 {
		var err error
		if w.settled == 0 {
			// A sender may still be using the caller's bytes.
			if w.err == nil || w.senders > 0 {
				break
			}
			err = w.err
		}
		one := w.pending.pop()
		w.settled, w.led = max(w.settled-1, 0), max(w.led-1, 0)
		w.mu.Unlock()
		one.done(err)
		w.mu.Lock()
	}
	w.delivering = false
	if w.pending.len() == 0 && w.drained != nil {
		close(w.drained)
		w.drained = nil
	}
}

// deliverRest tells appends that came when everything else had ended; push has
// set delivering for it.
func (w *Writer) deliverRest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delivering = false
	w.deliver()
}

// trim lets go of the packets that every connection has written. It runs with mu
// held.
func (w *Writer) trim() {
	written := w.legs[0].position
	for _, l := range w.legs {
		written = min(written, l.position)
	}
	for w.queue.first < written {
		w.queue.pop().recycle()
	}
}

// fifo is a queue in an array. Its positions count from the first element ever.
type fifo[T any] struct {
	items []T
	head  int   // of items
	first int64 // position of the head
}

// maxIdleItems is the largest array that an empty fifo keeps, in elements.
const maxIdleItems = 64

func (f *fifo[T]) len() int    { return len(f.items) - f.head }
func (f *fifo[T]) next() int64 { return f.first + int64(f.len()) }

// at returns the i-th element from the head.
func (f *fifo[T]) at(i int) *T { return &f.items[f.head+i] }

func (f *fifo[T]) push(item T) {
	if len(f.items) == cap(f.items) && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

func (f *fifo[T]) pop() T {
	var none T
	item := f.items[f.head]
	f.items[f.head] = none
	f.head++
	f.first++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
		if cap(f.items) > maxIdleItems {
			f.items = nil
		}
	}
	return item
}
