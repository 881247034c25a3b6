package datanode

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// maxGather is how many packets go into one write at most.
const maxGather = 16

// leg is the connection to one DataNode, with two goroutines: one sends packets,
// one reads acknowledgements.
type leg struct {
	writer *Writer
	node   *wire.DatanodeInfo
	conn   net.Conn
	r      *bufio.Reader

	// batch and gathered belong to the sender: the packets it writes, and their
	// pieces, of which net.Buffers consumes left.
	batch    []*packet
	gathered [][]byte
	left     net.Buffers

	// The fields below are guarded by the writer's mu.

	wake     sync.Cond // there may be something to send
	waiting  bool      // the sender waits for wake
	position int64     // in the queue: all before it are written
	sent     int64     // bytes written
	taken    int64     // newest seqno given to the connection, -1 at first
	written  int64     // newest seqno of which the write has returned
	acked    int64     // newest seqno acknowledged
	beats    int       // heartbeats queued and not acknowledged
	survives bool      // the writer has failed, and it is none of those to blame
	// since is the time of the latest acknowledgement, or of the packet that is
	// owed one since then.
	since time.Time
	// over is since when more than QueueBytes wait; zero if they don't.
	over time.Time
}

func newLeg(w *Writer, node *wire.DatanodeInfo, c net.Conn, r *bufio.Reader) *leg {
	l := &leg{writer: w, node: node, conn: c, r: r, taken: -1, written: -1, acked: -1}
	l.wake.L = &w.mu
	return l
}

// confirmed is the newest seqno that counts as acknowledged: a DataNode may
// answer before the write has returned that uses the caller's bytes.
func (l *leg) confirmed() int64 { return min(l.acked, l.written) }

// owes tells whether an acknowledgement is due.
func (l *leg) owes() bool { return l.confirmed() < l.writer.newest || l.beats > 0 }

// offered notes that a packet was queued. It runs with mu held.
func (l *leg) offered(now time.Time) {
	if l.acked+1 >= l.writer.newest && l.beats == 0 {
		l.since = now
	}
	if l.over.IsZero() && l.writer.queued-l.sent > l.writer.config.QueueBytes {
		l.over = now
	}
	if l.waiting {
		l.waiting = false
		l.wake.Signal()
	}
}

func (l *leg) send() {
	w := l.writer
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.senders--
		w.deliver()
	}()
	for l.take() {
		l.gathered = l.gathered[:0]
		for _, p := range l.batch {
			l.gathered = append(l.gathered, p.prefix)
			l.gathered = append(l.gathered, p.data...)
		}
		l.left = l.gathered
		if _, err := l.left.WriteTo(l.conn); err != nil {
			w.fail(&NodeError{l.node, fmt.Errorf("write: %w", err)}, l)
			l.lost()
			return
		}
	}
}

// take notes that the batch is written, waits for packets and makes them the
// batch. It returns false when there will be none.
func (l *leg) take() bool {
	w := l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(l.batch) > 0 {
		l.wrote()
	}
	for w.err == nil && l.position == w.queue.next() {
		if w.ending && l.taken == w.newest {
			return false
		}
		l.waiting = true
		l.wake.Wait()
	}
	if w.err != nil && (!w.draining || !l.survives || l.position == w.queue.next()) {
		w.closeDrained()
		return false
	}
	from := int(l.position - w.queue.first)
	for i := from; i < min(from+maxGather, w.queue.len()); i++ {
		p := *w.queue.at(i)
		l.batch = append(l.batch, p)
		if p.seqno == heartbeatSeqno {
			continue
		}
		l.taken = p.seqno
	}
	return true
}

// wrote runs with mu held.
func (l *leg) wrote() {
	w := l.writer
	for _, p := range l.batch {
		l.sent += p.size()
	}
	l.position += int64(len(l.batch))
	clear(l.batch)
	clear(l.gathered)
	l.batch = l.batch[:0]
	before := l.written
	l.written = l.taken
	if w.queued-l.sent <= w.config.QueueBytes {
		l.over = time.Time{}
	}
	w.trim()
	if l.acked > before { // before the write had returned
		w.settle(time.Now(), l)
		w.deliver()
	}
}

func (l *leg) receive() {
	in := acks{l.r}
	for seqno := int64(0); ; {
		beats, begin := 0, seqno
		for {
			one, err := in.next()
			if err == nil {
				err = check(one, seqno)
			}
			if err != nil {
				l.writer.fail(&NodeError{l.node, err}, l)
				l.lost()
				return
			}
			if one.seqno == heartbeatSeqno {
				beats++
			} else {
				seqno++
			}
			if !in.ready() {
				break
			}
		}
		if !l.got(seqno-1, beats, seqno > begin) {
			return
		}
	}
}

// check compares an acknowledgement with the one that is due.
func check(one ack, due int64) error {
	if one.status != wire.Status_SUCCESS {
		return &StatusError{Status: one.status}
	}
	if one.seqno != due && one.seqno != heartbeatSeqno {
		return fmt.Errorf("%w: it acknowledged packet %d when %d was due", ErrProtocol, one.seqno, due)
	}
	return nil
}

// got notes acknowledgements up to acked. It returns false when there will be no
// more.
func (l *leg) got(acked int64, beats int, progress bool) bool {
	w := l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return l.drained(acked)
	}
	if acked > l.taken || beats > l.beats {
		w.failLocked(&NodeError{l.node, fmt.Errorf("%w: it acknowledged what was not sent", ErrProtocol)}, l)
		return false
	}
	now := time.Now()
	l.since = now
	l.beats -= beats
	l.acked = acked
	if progress || w.held != nil {
		w.settle(now, l)
		w.deliver()
	}
	// After the last acknowledgement the DataNode closes the connection.
	return !w.ending || l.acked < w.newest
}
