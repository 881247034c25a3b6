package rpc

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// quietTime is how long a connection lives on which nothing is heard: without
	// calls it is closed then, as the server would do; else it counts as lost. One
	// time for both, so that the reader's deadline never moves closer.
	quietTime = 10 * time.Second
	// writeTimeout bounds the writing of a batch of calls.
	writeTimeout = 5 * time.Second
	// maxBatch is how many calls are written at once.
	maxBatch = 64
	// readBuffer holds most answers whole, in bytes.
	readBuffer = 8 << 10
)

// errIdle: the connection was closed as nobody used it.
var errIdle = errors.New("closed while idle")

// conn is one connection. The writer owns its sending side, the reader its
// receiving side. It dies once, and answers every registered call then.
type conn struct {
	net  net.Conn
	out  chan *pending // registered calls to be written
	dead chan struct{} // closed when err is set

	mu    sync.Mutex // guards the fields below; held for no wait
	calls map[int32]*pending
	// owed is how many answers are due, including those nobody waits for.
	owed int
	// since is when the server was last heard or, if nothing was owed then, when
	// the last call came.
	since time.Time
	// heard is set by the first frame that makes sense.
	heard bool
	err   error
}

// pending is a call between its registration and its answer.
type pending struct {
	id     int32
	frame  []byte
	answer chan answer // of capacity 1: one answer at most is ever sent
	// written is set before the first byte is; conn.mu guards it.
	written bool
}

type answer struct {
	body []byte
	err  error
}

func newConn(raw net.Conn) *conn {
	return &conn{
		net: raw, out: make(chan *pending, maxBatch), dead: make(chan struct{}),
		calls: map[int32]*pending{}, since: time.Now(),
	}
}

func (c *conn) alive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// register makes the connection answer p sometime, unless it is dead or the
// caller gives p up.
func (c *conn) register(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.calls[p.id] != nil {
		return fmt.Errorf("call %d is in flight already", p.id)
	}
	c.calls[p.id] = p
	if c.owed == 0 {
		c.since = time.Now()
	}
	return nil
}

// giveUp forgets a call and tells whether any of it may have been sent.
func (c *conn) giveUp(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[p.id] == p {
		delete(c.calls, p.id)
	}
	return p.written
}

// write writes calls until the connection dies.
func (c *conn) write() {
	for {
		select {
		case p := <-c.out:
			batch := c.batch(p)
			err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err == nil {
				_, err = batch.WriteTo(c.net)
			}
			if err != nil {
				c.fail(c.broken(err))
				return
			}
		case <-c.dead:
			return
		}
	}
}

// batch gathers what is to be written now, without what was given up.
func (c *conn) batch(first *pending) net.Buffers {
	waiting := []*pending{first}
gather:
	for len(waiting) < maxBatch {
		select {
		case p := <-c.out:
			waiting = append(waiting, p)
		default:
			break gather
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch net.Buffers
	for _, p := range waiting {
		if c.calls[p.id] != p {
			continue
		}
		if c.owed == 0 {
			c.since = time.Now()
		}
		p.written = true
		c.owed++
		batch = append(batch, p.frame)
	}
	return batch
}

// read hands out answers until the connection dies.
func (c *conn) read() {
	r := bufio.NewReaderSize(c.net, readBuffer)
	for {
		if err := c.await(r); err != nil {
			c.fail(err)
			return
		}
		frame, err := readFrame(r)
		if err != nil {
			c.fail(c.broken(err))
			return
		}
		answer, err := decodeResponse(frame)
		if err != nil {
			c.fail(c.broken(err))
			return
		}
		if err := c.deliver(answer); err != nil {
			c.fail(err)
			return
		}
	}
}

// await waits for the beginning of a frame, and leaves quietTime for its rest.
// A deadline that passes in here loses no bytes.
func (c *conn) await(r *bufio.Reader) error {
	for {
		c.mu.Lock()
		deadline := c.since.Add(quietTime)
		c.mu.Unlock()
		if err := c.net.SetReadDeadline(deadline); err != nil {
			return c.broken(err)
		}
		_, err := r.Peek(lengthBytes)
		switch {
		case err == nil:
			if err := c.net.SetReadDeadline(time.Now().Add(quietTime)); err != nil {
				return c.broken(err)
			}
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return c.broken(err)
		}
		if err := c.quiet(); err != nil {
			return err
		}
	}
}

// quiet decides what silence means. If it is idleness the connection is dead on
// return, so that no call can register in between.
func (c *conn) quiet() error {
	c.mu.Lock()
	if time.Since(c.since) < quietTime {
		c.mu.Unlock()
		return nil
	}
	if c.owed == 0 && len(c.calls) == 0 {
		c.endLocked(errIdle)
		c.mu.Unlock()
		return errIdle
	}
	c.mu.Unlock()
	return fmt.Errorf("%w: nothing was heard for %v", ErrLost, quietTime)
}

// broken says what an error of the connection means: before the first
// answer, bytes that make no sense show that this is another sort of server.
func (c *conn) broken(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, errBadFrame) && !c.heard:
		return fmt.Errorf("%w (%w)", ErrProtocol, err)
	case !c.heard:
		return fmt.Errorf("%w: it ended before any answer came, is this the RPC port? %w", ErrLost, err)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// deliver hands an answer to its call. An error means that the connection is of
// no more use.
func (c *conn) deliver(r response) error {
	if r.id == saslID || refusesSimple(r.remote) {
		return ErrKerberos
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.heard
	c.heard = true
	c.since = time.Now()
	c.owed = max(0, c.owed-1)
	p := c.calls[r.id]
	if p != nil {
		delete(c.calls, r.id)
		a := answer{body: r.body}
		if r.remote != nil {
			a = answer{err: r.remote}
		}
		p.answer <- a
	}
	switch {
	case r.status != wire.RpcStatus_RPC_FATAL:
		return nil
	case p == nil && first:
		// The connection as a whole was refused, so no call was run.
		return r.remote
	}
	return fmt.Errorf("%w: the server closed it: %w", ErrLost, r.remote)
}

// refusesSimple: this is how a server says it that does not negotiate.
func refusesSimple(e *RemoteError) bool {
	return e != nil && e.ShortClass() == "AccessControlException" &&
		strings.Contains(e.Message, "SIMPLE authentication is not enabled")
}

// fail ends the connection, if it lives, and every call on it.
func (c *conn) fail(err error) {
	c.mu.Lock()
	c.endLocked(err)
	c.mu.Unlock()
	_ = c.net.Close() // nothing was buffered
}

func (c *conn) endLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	close(c.dead)
	for id, p := range c.calls {
		delete(c.calls, id)
		if p.written {
			p.answer <- answer{err: err}
		} else {
			p.answer <- answer{err: fmt.Errorf("%w: %w", ErrNotSent, err)}
		}
	}
}
