package datanode

import (
	"slices"
	"sync"
	"time"
)

const (
	// idleTimeout is how long a connection is kept. DataNodes close one after 4 s
	// (dfs.datanode.socket.reuse.keepalive), and hold a thread for it until then.
	idleTimeout = 3 * time.Second
	// maxIdlePerNode and maxIdle bound the connections that are kept.
	maxIdlePerNode = 8
	maxIdle        = 64
)

// pool keeps idle connections, for a short time.
type pool struct {
	timeout time.Duration

	mu     sync.Mutex             // guards the fields below
	idle   map[string][]*readConn // by address, each in the order they became idle
	count  int
	closed bool
	// sweeper closes what was not taken; nil while there is nothing.
	sweeper  *time.Timer
	sweeping sync.WaitGroup
}

func newPool(timeout time.Duration) *pool {
	return &pool{timeout: timeout, idle: map[string][]*readConn{}}
}

// take returns the connection that was used last, or nil.
func (p *pool) take(address string) *readConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.idle[address]
	if len(all) == 0 {
		return nil
	}
	newest := all[len(all)-1]
	if time.Since(newest.idleSince) >= p.timeout {
		return nil // nor are the others any good; the sweeper is about to come
	}
	p.keep(address, all[:len(all)-1])
	p.count--
	return newest
}

// put keeps a connection, or closes it if there are enough.
func (p *pool) put(address string, c *readConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.count >= maxIdle || len(p.idle[address]) >= maxIdlePerNode {
		_ = c.close() // nothing is in flight on it
		return
	}
	c.idleSince = time.Now()
	p.keep(address, append(p.idle[address], c))
	p.count++
	if p.sweeper == nil {
		p.sweepIn(p.timeout)
	}
}

func (p *pool) keep(address string, all []*readConn) {
	if len(all) == 0 {
		delete(p.idle, address)
		return
	}
	p.idle[address] = all
}

// sweepIn runs with mu held.
func (p *pool) sweepIn(d time.Duration) {
	p.sweeping.Add(1)
	p.sweeper = time.AfterFunc(d, func() {
		defer p.sweeping.Done()
		p.sweep()
	})
}

// sweep closes the connections whose time is over.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	if p.closed {
		return
	}
	now, oldest := time.Now(), time.Now()
	for address, all := range p.idle {
		over := 0
		for over < len(all) && now.Sub(all[over].idleSince) >= p.timeout {
			_ = all[over].close() // nothing is in flight on it
			over++
		}
		p.count -= over
		p.keep(address, slices.Delete(all, 0, over))
		if over < len(all) && all[0].idleSince.Before(oldest) {
			oldest = all[0].idleSince
		}
	}
	if p.count > 0 {
		p.sweepIn(p.timeout - now.Sub(oldest))
	}
}

// close closes all connections, and takes no more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for address, all := range p.idle {
		for _, c := range all {
			_ = c.close() // nothing is in flight on it
		}
		delete(p.idle, address)
	}
	p.count = 0
	if p.sweeper != nil && p.sweeper.Stop() {
		p.sweeping.Done()
	}
	p.mu.Unlock()
	p.sweeping.Wait()
}
