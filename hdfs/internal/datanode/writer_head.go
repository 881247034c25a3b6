package datanode

import "time"

// head is a block's first append, while it is being opened.
type head struct {
	// first goes out with the operation; nil: there is no head. rest is what it has no
	// room for.
	first *packet
	rest  []byte
	done  func(error)
}

// newHead cuts the first packet. Nobody else uses the writer yet.
func newHead(w *Writer, s Setup) head {
	if s.HeadDone == nil {
		return head{}
	}
	pieces := [][]byte{s.Head}
	h := head{done: s.HeadDone, first: w.next(&pieces, true)}
	if len(pieces) > 0 {
		h.rest = pieces[0]
	}
	return h
}

// bytes is what goes out with the operation.
func (h head) bytes() []byte {
	if h.first == nil {
		return nil
	}
	return h.first.appendTo(nil)
}

// sent notes that every connection has sent the first packet, and appends the rest.
// No goroutine of the writer runs yet.
func (h head) sent(w *Writer) {
	if h.first == nil {
		return
	}
	now := time.Now()
	w.newest, w.newestEnd, w.touched = h.first.seqno, w.offset, now
	for _, l := range w.legs {
		l.taken, l.written, l.since = w.newest, w.newest, now
	}
	one := pending{sync: true, last: w.newest, end: w.newestEnd, done: h.done}
	if len(h.rest) > 0 {
		one.sync, one.done = false, func(error) {}
	} else {
		w.syncing = w.newest
	}
	w.pending.push(one)
	h.first.recycle()
	if len(h.rest) > 0 {
		w.Append(h.rest, true, h.done)
	}
}
