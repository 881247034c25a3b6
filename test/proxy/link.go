package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/talos-log/talos/test/process"
)

const (
	// piece bounds what is carried at once, in bytes.
	piece = 16 << 10
	// dialTimeout bounds the connection to the target.
	dialTimeout = 5 * time.Second
)

// Slowness is what a slow link does.
type Slowness struct {
	// Delay is how late each piece comes, each way.
	Delay time.Duration
	// BytesPerSecond bounds each connection, each way; 0 means that it does not.
	BytesPerSecond int
}

// Felt is what faults have done to those who use a link, since it was opened.
type Felt struct {
	// Broken are connections that a Cut ended, Refused those that came meanwhile.
	Broken, Refused int
	// Held are pieces that came upon a Hole, and Late those that were delayed.
	Held, Late int
}

// Link is one address that leads to another one. Its methods may be called
// concurrently.
type Link struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	mode mode
	// changed is closed when mode is another one.
	changed chan struct{}
	conns   map[net.Conn]bool
	felt    Felt
	closed  bool
}

// mode is what a link does now.
type mode struct {
	cut, hole bool
	slow      Slowness
}

// Open listens on a port of loopback that leads to the target, host:port.
func Open(target string) (*Link, error) {
	listener, err := process.Listen()
	if err != nil {
		return nil, fmt.Errorf("open a link to %s: %w", target, err)
	}
	l := &Link{target: target, listener: listener, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	l.wg.Go(l.accept)
	return l, nil
}

// Address is host:port where clients go.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Cut breaks all connections with a reset, and every new one until Heal.
func (l *Link) Cut() {
	l.set(mode{cut: true})
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		reset(conn)
	}
	// Two for each connection: the client's and the target's.
	l.felt.Broken += len(l.conns) / 2
}

// Hole lets nothing through any more, and tells nobody.
func (l *Link) Hole() { l.set(mode{hole: true}) }

// Slow delays what goes through.
func (l *Link) Slow(s Slowness) { l.set(mode{slow: s}) }

// Heal ends all faults. What was held back goes on.
func (l *Link) Heal() { l.set(mode{}) }

// Felt counts what the faults did so far.
func (l *Link) Felt() Felt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.felt
}

// Close breaks everything, and waits until nothing runs any more.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	for conn := range l.conns {
		reset(conn)
	}
	l.mu.Unlock()
	l.set(mode{cut: true})
	err := l.listener.Close()
	l.wg.Wait()
	return err
}

func (l *Link) set(m mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = m
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns the mode, and what is closed when it is another one.
func (l *Link) state() (mode, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.changed
}

func (l *Link) count(f func(*Felt)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.felt)
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			l.wg.Go(func() { l.serve(conn) })
		}
	}
}

// serve carries one connection to its end.
func (l *Link) serve(client net.Conn) {
	defer reset(client)
	if m, _ := l.state(); m.cut {
		l.count(func(f *Felt) { f.Refused++ })
		return
	}
	if !l.pass(0) {
		return
	}
	target, err := net.DialTimeout("tcp", l.target, dialTimeout)
	if err != nil {
		return
	}
	defer reset(target)
	if !l.register(client, target) {
		return
	}
	defer l.forget(client, target)
	ways := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, target}, {target, client}} {
		l.wg.Go(func() {
			l.carry(way[0], way[1])
			ways <- struct{}{}
		})
	}
	// One way that ends for good ends both; a half-closed connection goes on.
	<-ways
	<-ways
}

func (l *Link) register(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.mode.cut {
		l.felt.Refused++
		return false
	}
	for _, c := range conns {
		l.conns[c] = true
	}
	return true
}

func (l *Link) forget(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.conns, c)
	}
}

// carry copies one way until it ends.
func (l *Link) carry(from, to net.Conn) {
	buffer := make([]byte, piece)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.pass(n) {
				break
			}
			if _, werr := to.Write(buffer[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			if end, ok := to.(*net.TCPConn); ok && !errors.Is(err, net.ErrClosed) {
				// The other way may go on. If it is broken, this fails, and so will that.
				_ = end.CloseWrite()
				return
			}
			break
		}
	}
	reset(from)
	reset(to)
}

// pass waits until n bytes may go on; false if they never may.
func (l *Link) pass(n int) bool {
	held := false
	for {
		m, changed := l.state()
		switch {
		case m.cut:
			return false
		case m.hole:
			if !held {
				held = true
				l.count(func(f *Felt) { f.Held++ })
			}
			<-changed
		case m.slow != Slowness{}:
			l.count(func(f *Felt) { f.Late++ })
			wait := m.slow.Delay
			if m.slow.BytesPerSecond > 0 {
				wait += time.Duration(n) * time.Second / time.Duration(m.slow.BytesPerSecond)
			}
			late := time.NewTimer(wait)
			select {
			case <-late.C:
				return true
			case <-changed:
				late.Stop()
			}
		default:
			return true
		}
	}
}

// reset ends a connection at once, and lets the other end notice.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		// It only makes the end abrupt.
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
