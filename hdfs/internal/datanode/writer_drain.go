package datanode

import "time"

const (
	// drainWrite bounds the time for which a writer that failed goes on to write to
	// the DataNodes that did not: its appends are told of the failure afterwards.
	drainWrite = 20 * time.Millisecond
	// drainTime bounds the time for which it waits for their acknowledgements.
	drainTime = time.Second
	// drainBytes bounds what it may still have to write to one of them.
	drainBytes = 1 << 20
)

// drainOrClose ends the connections of a writer that has just failed: at once to
// those that are to blame, and to the others when they have all that was
// queued, so that they agree on the block's length. Of a block in which nothing is
// acknowledged, nobody wants to know that. It runs with mu held.
func (w *Writer) drainOrClose(blamed []*leg) {
	survivors := 0
	for _, l := range w.legs {
		l.survives = true
		for _, other := range blamed {
			if l == other {
				l.survives = false
			}
		}
		if l.survives {
			survivors++
		}
		if l.survives && w.queued-l.sent > drainBytes {
			survivors = -len(w.legs)
		}
	}
	w.draining = len(blamed) > 0 && survivors > 0 && !w.fixed && !w.ending && w.acknowledged > 0
	now := time.Now()
	for _, l := range w.legs {
		if w.draining && l.survives {
			// They fail on a closed connection only, which shows when it is used.
			_ = l.conn.SetWriteDeadline(now.Add(drainWrite))
			_ = l.conn.SetReadDeadline(now.Add(drainTime))
		}
	}
	w.closeDrained()
	for _, l := range w.legs {
		l.wake.Signal()
	}
}

// closeDrained closes the connections on which nothing is waited for. It runs with
// mu held.
func (w *Writer) closeDrained() {
	waiting := false
	for _, l := range w.legs {
		waiting = waiting || w.draining && l.survives && l.confirmed() < w.newest
	}
	for _, l := range w.legs {
		if !waiting || !l.survives {
			// What it could not say to the DataNode, the DataNode sees.
			_ = l.conn.Close()
		}
	}
}

// drained notes acknowledgements that come after the writer has failed. It returns
// false when there will be no more. It runs with mu held.
func (l *leg) drained(acked int64) bool {
	w := l.writer
	if !w.draining || !l.survives {
		return false
	}
	if acked > l.taken {
		w.disagreed() // it acknowledged what was not sent
		return false
	}
	l.acked = acked
	w.closeDrained()
	return l.acked < w.newest
}

// lost notes that the connection has ended. If it was drained, the survivors don't
// agree.
func (l *leg) lost() {
	w := l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining && l.survives && l.confirmed() < w.newest {
		w.disagreed()
	}
}

// disagreed notes that the survivors won't agree. It runs with mu held.
func (w *Writer) disagreed() {
	w.draining = false
	w.closeDrained()
}

// Survivors are the DataNodes that did not break the writer, by their index in the
// block, if all of them have acknowledged the same length; else none. It is called
// after Abandon.
func (w *Writer) Survivors() (nodes []int, length int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.draining {
		return nil, 0
	}
	for i, l := range w.legs {
		if l.survives && l.acked < w.newest {
			return nil, 0
		}
		if l.survives {
			nodes = append(nodes, i)
		}
	}
	return nodes, w.newestEnd
}
