package datanode

import (
	"net"
	"slices"
	"sync"
	"syscall"
)

// maxDirect is the largest packet that is written where it is made, in bytes: with
// more, to write to all connections at once is faster.
const maxDirect = 8 << 10

// direct writes small packets to a connection without its sender, for waking that one
// takes longer than the write. It waits for nothing: what the connection does not take
// is left to the sender, as are errors, which the sender meets again. The writer's mu
// guards it.
type direct struct {
	raw     syscall.RawConn // nil: there is no such way
	attempt func(fd uintptr) bool
	bytes   []byte
	written int
}

func (d *direct) open(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	d.raw = raw
	d.attempt = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), d.bytes)
		if err == nil {
			d.written = n
		}
		return true
	}
}

// write returns how much of b is written.
func (d *direct) write(b []byte) int {
	d.bytes, d.written = b, 0
	// Where it fails, attempt was not called.
	_ = d.raw.Write(d.attempt)
	d.bytes = nil
	return d.written
}

var flats = sync.Pool{New: func() any { return new([maxDirect]byte) }}

// flat returns a packet that was just queued in one piece, nil unless there is a
// connection to write it to directly. It runs with mu held.
func (w *Writer) flat(p *packet) *[maxDirect]byte {
	if p.size() > maxDirect || !slices.ContainsFunc(w.legs, (*leg).idle) {
		return nil
	}
	b, _ := flats.Get().(*[maxDirect]byte)
	p.appendTo(b[:0])
	return b
}

// idle tells whether a connection has nothing to do but a packet that was just
// queued: what comes while others are in flight gathers meanwhile, for one write. It
// runs with mu held.
func (l *leg) idle() bool {
	return l.direct.raw != nil && l.waiting && !l.writer.ending && l.acked+1 >= l.writer.newest
}

// sendNow writes the packet that was just queued. It returns false if there is
// something to do for the sender. It runs with mu held.
func (l *leg) sendNow(p *packet, flat *[maxDirect]byte) bool {
	if flat == nil || !l.idle() {
		return false
	}
	n := l.direct.write(flat[:p.size()])
	if int64(n) < p.size() {
		l.begun = n
		return false
	}
	if p.seqno != heartbeatSeqno {
		l.taken = p.seqno
	}
	l.written = l.taken
	l.position++
	l.sent += p.size()
	return true
}
