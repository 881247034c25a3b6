package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/peer"
)

// limitedListener closes connections beyond its limits as soon as they are made,
// so that whoever holds many keeps others out no longer than it holds them.
type limitedListener struct {
	net.Listener
	total, perAddress int
	// answerBytes is each connection's limit.
	answerBytes int64
	refused     func(address net.Addr, limit string)

	mu        sync.Mutex // guards the fields below
	open      int
	byAddress map[string]int
}

func limitConnections(l net.Listener, c Capacity, answerBytes int64, refused func(net.Addr, string)) *limitedListener {
	return &limitedListener{
		Listener: l, total: c.Connections, perAddress: c.ConnectionsPerAddress, answerBytes: answerBytes,
		refused: refused, byAddress: make(map[string]int),
	}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(raw.RemoteAddr())
		if limit := l.enter(host); limit != "" {
			l.refused(raw.RemoteAddr(), limit)
			if err := raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			continue
		}
		return &connection{
			Conn: raw, leave: sync.OnceFunc(func() { l.leave(host) }),
			answers: semaphore.NewWeighted(l.answerBytes), leases: make(map[*lease]struct{}),
		}, nil
	}
}

// refused counts a call that was refused with err, and tells whether that was one
// too many.
func (c *connection) refused(err error) bool {
	if talos.KindOf(err) == talos.Overloaded {
		return c.overloads.Add(1) >= maxOverloads
	}
	return c.refusals.Add(1) >= maxRefusals
}

// enter counts a connection, or returns the name of the limit that it breaks.
func (l *limitedListener) enter(host string) (limit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open >= l.total:
		return "connections"
	case host != "" && l.byAddress[host] >= l.perAddress:
		return "connections per address"
	}
	l.open++
	if host != "" {
		l.byAddress[host]++
	}
	return ""
}

func (l *limitedListener) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if host == "" {
		return
	}
	if l.byAddress[host]--; l.byAddress[host] == 0 {
		delete(l.byAddress, host)
	}
}

// hostOf returns the IP address; empty if there is none.
func hostOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}

// connection is one client's connection and what the node holds for it.
type connection struct {
	net.Conn
	leave func()
	// answers is the connection's share of memory for answers.
	answers *semaphore.Weighted
	// refusals and overloads count the calls that were refused before they began.
	refusals, overloads atomic.Int32

	mu     sync.Mutex // guards the fields below
	closed bool
	// spoiled says that the node closes it for what the client does.
	spoiled bool
	leases  map[*lease]struct{}
}

// RemoteAddr leads from a call's peer to its connection: see connectionOf.
func (c *connection) RemoteAddr() net.Addr { return connectionAddr{c.Conn.RemoteAddr(), c} }

// Close gives back all that is held for the connection.
func (c *connection) Close() error {
	c.mu.Lock()
	c.closed = true
	leases := c.leases
	c.leases = nil
	c.mu.Unlock()
	for l := range leases {
		l.end()
	}
	c.leave()
	return c.Conn.Close()
}

// spoil tells the first caller that the connection, which lives, is to be closed.
func (c *connection) spoil() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.spoiled {
		return false
	}
	c.spoiled = true
	return true
}

// add keeps a lease until the connection ends; false if it has ended.
func (c *connection) add(l *lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.leases[l] = struct{}{}
	}
	return !c.closed
}

func (c *connection) remove(l *lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leases, l)
}

// connectionAddr is a client's address that knows the connection.
type connectionAddr struct {
	net.Addr
	connection *connection
}

// connectionOf returns the connection of a call.
func connectionOf(ctx context.Context) (*connection, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	a, ok := p.Addr.(connectionAddr)
	return a.connection, ok
}
